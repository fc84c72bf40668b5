# Completion of cagectl(1) for bash: verbs, options, ids of agents, card files.

# The ids of the caller's agents; nothing where no daemon answers. Ids have no characters that need
# quoting (a-z, 0-9, -).
_cagectl_ids() {
    cagectl list --json "$@" 2>/dev/null | sed -n 's/^ *"agent_id": "\([a-z0-9-]*\)",*$/\1/p'
}

# The options of a verb, as its help lists them.
_cagectl_options() {
    cagectl help "$1" 2>/dev/null | sed '1,/^Options:/d' | grep -oE -- '(^  -[a-zA-Z]|--[a-z-]+)' | tr -d ' '
}

_cagectl_verbs() {
    cagectl help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_cagectl_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

_cagectl_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -X "$1" -- "$current"; compgen -d -- "$current")
}

# An id, then hosts: what the agent was refused, or what it is allowed. Entries are of letters, digits
# and -._*:/[];= alone, and a word with a colon is completed in parts (COMP_WORDBREAKS).
_cagectl_hosts() {
    local verb=$1 word before= id=
    shift
    for word; do
        [[ $word == -* || $before == -u || $before == --owner ]] || { id=$word; break; }
        before=$word
    done
    if [[ -z $id ]]; then
        _cagectl_words "$(_cagectl_ids)"
    elif [[ $verb == deny ]]; then
        _cagectl_words "$(cagectl hosts "$id" 2>/dev/null | awk '$1 == "allowed" { print $2 }')"
    else
        _cagectl_words "$(cagectl suggest "$id" 2>/dev/null | grep -v '^#')"
    fi
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
}

# What of policy the words after it name: check, explain, reload, or nothing yet.
_cagectl_policy_verb() {
    local word
    for word; do
        [[ $word == check || $word == explain || $word == reload ]] && { printf '%s' "$word"; return; }
    done
}

# After policy: what it can do, then files. Its help lists the options of all that it can do.
_cagectl_policy() {
    local verb others=''
    verb=$(_cagectl_policy_verb "$@")
    case $verb in
        check) others='--policy|--as|--socket' ;;
        explain) others='-q|--quiet' ;;
        reload) others='--policy|--as|--data-dir' ;;
    esac
    if [[ $current == -* ]]; then
        _cagectl_words "$(_cagectl_options policy | grep -vxE -- "$others")"
    elif [[ -z $verb ]]; then
        _cagectl_words "check explain reload"
    elif [[ $verb != reload ]]; then
        _cagectl_files '!*.json'
    fi
}

_cagectl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local verb=${COMP_WORDS[1]} word
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        _cagectl_words "$(_cagectl_verbs)"
        return
    fi
    # What follows `--` is the agent's: files are as good a guess as any.
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        if [[ $word == -- ]]; then
            _cagectl_files ''
            return
        fi
    done
    case $previous in
        --socket) _cagectl_files '' ; return ;;
        --id) _cagectl_words "$(_cagectl_ids)" ; return ;;
        --policy) _cagectl_files '!*.json' ; return ;;
        --data-dir) mapfile -t COMPREPLY < <(compgen -d -- "$current") ; return ;;
        -s | --signal) _cagectl_words "HUP INT QUIT TERM USR1 USR2 STOP CONT WINCH KILL" ; return ;;
        -u | --owner | --as) mapfile -t COMPREPLY < <(compgen -u -- "$current") ; return ;;
        -o | --output)
            if [[ $verb == audit ]]; then _cagectl_words "short json"; else _cagectl_words "cat short json"; fi
            return
            ;;
        -S | --since | -U | --until) _cagectl_words "today yesterday now" ; return ;;
        -n | --lines | -g | --grace) return ;;
    esac
    if [[ $current == -* && $verb != policy ]]; then
        _cagectl_words "$(_cagectl_options "$verb")"
        return
    fi
    case $verb in
        spawn | run | service | reload | check) _cagectl_files '!*.json' ;;
        stop | kill | events) _cagectl_words "$(_cagectl_ids)" ;;
        allow | deny | approve) _cagectl_hosts "$verb" "${COMP_WORDS[@]:2:COMP_CWORD-2}" ;;
        inspect | logs | wait | hosts | suggest | audit) _cagectl_words "$(_cagectl_ids --all)" ;;
        policy) _cagectl_policy "${COMP_WORDS[@]:2:COMP_CWORD-2}" ;;
        help) _cagectl_words "$(_cagectl_verbs)" ;;
    esac
}

complete -F _cagectl cagectl
