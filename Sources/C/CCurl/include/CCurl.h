#pragma once

// libcurl's options are variadic, which Swift cannot call. Each shim here is one of them with its
// types written out.

#include <curl/curl.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

typedef size_t (*heptad_curl_receive)(char *bytes, size_t size, size_t count, void *context);
typedef curl_socket_t (*heptad_curl_open_socket)(
    void *context, curlsocktype purpose, struct curl_sockaddr *address);
typedef int (*heptad_curl_before_request)(
    void *context, char *peer, char *local, int peerPort, int localPort);
typedef int (*heptad_curl_watch_socket)(
    CURL *easy, curl_socket_t socket, int what, void *context, void *socketContext);
typedef int (*heptad_curl_set_timer)(CURLM *multi, long milliseconds, void *context);

CURLcode heptad_curl_global_init(void);

CURLcode heptad_curl_set_number(CURL *easy, CURLoption option, long value);
CURLcode heptad_curl_set_text(CURL *easy, CURLoption option, const char *value);
CURLcode heptad_curl_set_list(CURL *easy, CURLoption option, struct curl_slist *list);
// Copies the bytes.
CURLcode heptad_curl_set_body(CURL *easy, const void *bytes, size_t count);
// Who is told of bytes, headers, new sockets and connected requests; all get the same context.
CURLcode heptad_curl_set_callbacks(
    CURL *easy, void *context, heptad_curl_receive body, heptad_curl_receive header,
    heptad_curl_open_socket openSocket, heptad_curl_before_request beforeRequest);
// Text that curl owns; null where there is none.
const char *heptad_curl_text(CURL *easy, CURLINFO info);

CURLMcode heptad_curl_multi_set_number(CURLM *multi, CURLMoption option, long value);
CURLMcode heptad_curl_multi_set_callbacks(
    CURLM *multi, void *context, heptad_curl_watch_socket watch, heptad_curl_set_timer timer);
// The next transfer that has ended and how; null when there is none.
CURL *heptad_curl_next_ended(CURLM *multi, CURLcode *result);

// The address inside curl's own struct, which is longer than the struct says for IPv6.
const struct sockaddr *heptad_curl_address(const struct curl_sockaddr *address);
