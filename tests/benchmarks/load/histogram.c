/* Latencies in logarithmic buckets, as HdrHistogram keeps them: no bucket is wider than 1/128 of its value. */

#include "load.h"

void record(struct histogram *histogram, uint64_t ns) {
  /* The top eight bits choose the bucket; below 256 ns every value has its own. */
  unsigned shift = ns < 2 * SUB_BUCKETS ? 0 : 63 - (unsigned)__builtin_clzll(ns) - SUB_BITS;
  histogram->counts[shift * SUB_BUCKETS + (ns >> shift)]++;
  if (ns > histogram->max_ns) histogram->max_ns = ns;
}

/* Prints [[highest value of the bucket, count], ...], so that no percentile is told too low. */
void print_histogram(const struct histogram *histogram) {
  const char *comma = "";
  printf("[");
  for (unsigned index = 0; index < BUCKETS; index++) {
    if (!histogram->counts[index]) continue;
    unsigned shift = index < 2 * SUB_BUCKETS ? 0 : index / SUB_BUCKETS - 1;
    uint64_t highest = ((uint64_t)(index - shift * SUB_BUCKETS + 1) << shift) - 1;
    printf("%s[%llu,%llu]", comma, (unsigned long long)highest,
           (unsigned long long)histogram->counts[index]);
    comma = ",";
  }
  printf("]");
}
