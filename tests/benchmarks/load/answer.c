/* What an answer must say: one field of its message, present or with a given value. */

#include "load.h"

enum { GRPC_PREFIX = 5 };

/* Reads "3" (field 3 is present) or "3=300" (field 3 is a varint of that value). */
bool read_expectation(const char *text, struct expectation *wanted) {
  unsigned long long value = 0;
  int found = sscanf(text, "%u=%llu", &wanted->field, &value);
  wanted->has_value = found == 2;
  wanted->value = value;
  return found >= 1;
}

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

/* Looks through the fields of a message, one level deep, without decoding what it does not need. */
static bool message_says(const uint8_t *at, const uint8_t *end, const struct expectation *wanted) {
  uint64_t tag = 0, value = 0;
  while (at < end) {
    if (!read_varint(&at, end, &tag)) return false;
    uint64_t skip = 0;
    switch (tag & 7) {
      case 0:
        if (!read_varint(&at, end, &value)) return false;
        break;
      case 1: skip = 8; break;
      case 2:
        if (!read_varint(&at, end, &skip)) return false;
        break;
      case 5: skip = 4; break;
      default: return false;
    }
    if (skip > (uint64_t)(end - at)) return false;
    at += skip;
    if (tag >> 3 == wanted->field && (!wanted->has_value || ((tag & 7) == 0 && value == wanted->value)))
      return true;
  }
  return false;
}

/* An answer is one uncompressed gRPC message, whole, that says what is expected. */
bool answer_says(const uint8_t *answer, size_t size, const struct expectation *wanted) {
  if (size < GRPC_PREFIX || answer[0] != 0) return false;
  size_t told = (size_t)answer[1] << 24 | (size_t)answer[2] << 16 | (size_t)answer[3] << 8 | answer[4];
  return told == size - GRPC_PREFIX && message_says(answer + GRPC_PREFIX, answer + size, wanted);
}
