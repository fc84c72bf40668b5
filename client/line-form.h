/* The forms in which cagectl logs shows lines. */
#pragma once

enum line_form {
    LINE_CAT,   /* as the agent wrote them, each to our stdout or stderr */
    LINE_SHORT, /* on stdout: when, on which stream, the text */
    LINE_JSON,  /* on stdout: one LogLine a line */
};

#define LINE_FORMS "short, json or cat"

/* 0, or -EINVAL for a name that is none of LINE_FORMS. */
int line_form_from_string(const char *name, enum line_form *ret);
