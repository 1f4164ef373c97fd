#include "CCurl.h"

CURLcode heptad_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }

CURLcode heptad_curl_set_number(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

CURLcode heptad_curl_set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

CURLcode heptad_curl_set_list(CURL *easy, CURLoption option, struct curl_slist *list) {
    return curl_easy_setopt(easy, option, list);
}

CURLcode heptad_curl_set_body(CURL *easy, const void *bytes, size_t count) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    if (code != CURLE_OK) return code;
    // curl reads a null body as "ask the read callback", which would be standard input.
    return curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, count == 0 ? "" : bytes);
}

CURLcode heptad_curl_set_callbacks(
    CURL *easy, void *context, heptad_curl_receive body, heptad_curl_receive header,
    heptad_curl_open_socket openSocket, heptad_curl_before_request beforeRequest) {
    CURLcode codes[] = {
        curl_easy_setopt(easy, CURLOPT_PRIVATE, context),
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, context),
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body),
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, context),
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header),
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, context),
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, openSocket),
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, context),
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, beforeRequest),
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] != CURLE_OK) return codes[i];
    return CURLE_OK;
}

const char *heptad_curl_text(CURL *easy, CURLINFO info) {
    char *text = NULL;
    return curl_easy_getinfo(easy, info, &text) == CURLE_OK ? text : NULL;
}

CURLMcode heptad_curl_multi_set_number(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

CURLMcode heptad_curl_multi_set_callbacks(
    CURLM *multi, void *context, heptad_curl_watch_socket watch, heptad_curl_set_timer timer) {
    CURLMcode codes[] = {
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, context),
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch),
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, context),
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer),
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] != CURLM_OK) return codes[i];
    return CURLM_OK;
}

CURL *heptad_curl_next_ended(CURLM *multi, CURLcode *result) {
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
        if (message->msg != CURLMSG_DONE) continue;
        *result = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}

const struct sockaddr *heptad_curl_address(const struct curl_sockaddr *address) {
    return &address->addr;
}
