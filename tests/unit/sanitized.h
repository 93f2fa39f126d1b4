/* SPDX-License-Identifier: MIT */
/*
 * sanitized.h -- SANITIZED: whether a sanitizer watches this build's memory, which then
 * looks and costs different; and SANITIZED_THREADS: whether ThreadSanitizer does.
 */
#ifndef SANITIZED_H
#define SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED)
#define SANITIZED 0
#endif

#if defined(__SANITIZE_THREAD__)
#define SANITIZED_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZED_THREADS 1
#endif
#endif
#if !defined(SANITIZED_THREADS)
#define SANITIZED_THREADS 0
#endif

#endif
