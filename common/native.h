/* The machine and the build that a seccomp filter is for. */
#pragma once

#include <linux/audit.h>

/* What struct seccomp_data has as `arch` for calls of this program's own kind. Numbers of calls
 * mean nothing without it. */
#if defined(__x86_64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#error "the filters know nothing of this architecture"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the filters expect the lower half of an argument to come first"
#endif

/* Whether this is a build with sanitizers, which make calls and take memory of their own. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
