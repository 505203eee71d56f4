/* Model 5: persisting, cuts and heirs (shm/PROTOCOL.md sections 7, 9).
   A partition's log goes to segment files of blocks that hold two records each (a record is a sector: a block may be torn between them). Batches of
   one or two records are appended to shared memory; the broker writes the tail block again and again until it is full. It may be killed after every
   step (its write in flight lands later, or never), together with its keeper (memory lost too), or the power may be cut (of what was not flushed
   any sector may have reached the medium or not). All records are of one size, so that stale ones fit wherever new ones are missing.
@group   persist/cut/heir
@good    kill-and-cut    -DKILLS=1 -DCUTS=1 -DLEN=4
@good    two-cuts        -DCUTS=2 -DLEN=4
@good    kill-two-cuts   -DKILLS=1 -DCUTS=2
@good    lost-memory     -DLOSSES=1 -DCUTS=2
@full    two-kills       -DKILLS=2 -DCUTS=1 -DLEN=4
@full    all             -DKILLS=1 -DLOSSES=1 -DCUTS=1
@full    three-cuts      -DCUTS=3
@reject  append-behind-cut          no_old_record        -DKILLS=0 -DCUTS=2 -DREJECT_APPEND_BEHIND_CUT
@reject  heir-rewrites-tail-block   durable_survives     -DKILLS=1 -DCUTS=1 -DREJECT_HEIR_REWRITES_TAIL
@reject  durable-at-submission      durable_survives     -DCUTS=1 -DREJECT_NO_FLUSH
@reject  durable-inside-batch       durable_survives     -DCUTS=1 -DREJECT_DURABLE_INSIDE_BATCH
@reject  header-not-synced          durable_survives     -DKILLS=1 -DCUTS=1 -DREJECT_HEADER_NOT_SYNCED
@reject  heir-trusts-unflushed      durable_survives     -DLOSSES=1 -DCUTS=1 -DREJECT_NO_FLUSH_OF_PREDECESSOR
@reject  header-without-end         durable_survives     -DCUTS=2 -DREJECT_HEADER_WITHOUT_END */
#include "property.h"
#ifndef KILLS
#define KILLS 0                       /* kills of the broker; the keeper keeps the memory */
#endif
#ifndef LOSSES
#define LOSSES 0                      /* kills of broker and keeper */
#endif
#ifndef CUTS
#define CUTS 0                        /* power cuts */
#endif
#ifndef LEN
#define LEN 3                         /* records in the log */
#endif
#define FILES (KILLS + LOSSES + CUTS + 1)
#define UNITS 4                       /* sectors a file: LEN records, whole blocks of two */
#define NIDS (LEN * (LOSSES + CUTS + 1) + 1)
#define NONE 255
PROPERTY(durable_survives)            /* whatever was at or below a published durable position is found again, the same */
PROPERTY(no_old_record)               /* nothing that a start has cut off comes back */
PROPERTY(no_half_batch)               /* no recovered log and no durable position ends inside a batch */
PROPERTY(all_persisted)               /* when nothing moves any more, the log is whole and durable, whoever died */

typedef File {
  byte seen[UNITS]; byte medium[UNITS];                   /* what a read gives; what survives a cut. A sector: record, or 0 */
  byte base_seen; byte base_medium;                       /* header: first offset = where the predecessor ends; NONE: no such file */
};
File file[FILES];
typedef Flight { byte to; byte block; byte a; byte b; bool on };
Flight flight[FILES];                                     /* one write in flight per broker; it outlives its broker */

byte log[LEN], tail, durable, ids;                         /* shared memory: records, tail, durable position */
bool memory;                                              /* the shared memory is there */
byte at[NIDS]; bool last[NIDS], old[NIDS];                /* of each record: offset, last of its batch; ghost: cut off by a start */
byte promised[LEN], promises;                             /* ghost: the records at or below any durable position ever published */
byte event, starts, kills, losses, cuts;

/* the kernel completes what was submitted, whoever is alive; each landed sector may reach the medium at once, or only by a flush */
proctype Kernel() {
  byte i;
end:
  do
  :: atomic {
      if :: flight[0].on -> i = 0
#if FILES > 1
      :: flight[1].on -> i = 1
#endif
#if FILES > 2
      :: flight[2].on -> i = 2
#endif
#if FILES > 3
      :: flight[3].on -> i = 3
#endif
      fi;
      file[flight[i].to].seen[2 * flight[i].block] = flight[i].a; file[flight[i].to].seen[2 * flight[i].block + 1] = flight[i].b;
      if :: file[flight[i].to].medium[2 * flight[i].block] = flight[i].a :: skip fi;
      if :: file[flight[i].to].medium[2 * flight[i].block + 1] = flight[i].b :: skip fi;
      flight[i].on = 0; flight[i].to = 0; flight[i].block = 0; flight[i].a = 0; flight[i].b = 0; i = 0 }
  od
}

proctype Client() {                                       /* commits batches of one or two records */
  byte i;
end:
  do
  :: atomic { memory && tail < LEN -> ids++; at[ids] = tail; last[ids] = 1; log[tail] = ids; tail++ }
  :: atomic { memory && tail + 1 < LEN -> ids++; at[ids] = tail; last[ids] = 0; log[tail] = ids; tail++; ids++; at[ids] = tail; last[ids] = 1; log[tail] = ids; tail++ }
  od
}

proctype Fate() {
  byte i, j;
end:
  do
  :: atomic { !event && kills < KILLS -> kills++; event = 1 }
  :: atomic { !event && losses < LOSSES -> losses++; event = 2; memory = 0; d_step { for (i : 0 .. LEN - 1) { log[i] = 0 } i = 0; tail = 0; durable = 0 } }
  :: atomic { !event && cuts < CUTS -> cuts++; event = 2; memory = 0;
      d_step {
        for (i : 0 .. LEN - 1) { log[i] = 0 }
        tail = 0; durable = 0;
        for (i : 0 .. FILES - 1) {
          for (j : 0 .. UNITS - 1) { file[i].seen[j] = file[i].medium[j] }
          file[i].base_seen = file[i].base_medium; flight[i].on = 0; flight[i].to = 0; flight[i].block = 0; flight[i].a = 0; flight[i].b = 0 }
        i = 0; j = 0 } }
  od
}

inline flush(f) { d_step { for (i : 0 .. UNITS - 1) { file[f].medium[i] = file[f].seen[i] } i = 0 } }
inline publish(p) {
  durable = p;
  for (i : 0 .. LEN - 1) { if :: i < p && i >= promises -> promised[i] = log[i] :: else fi }
  i = 0; if :: p > promises -> promises = p :: else fi
}
/* scan the files in order; a header cuts its predecessor, the last whole batch cuts the end */
inline recover() {
  tail = 0;
  for (f : 0 .. FILES - 1) {
    if
    :: file[f].base_seen != NONE ->
      inc = f + 1;                                        /* the newest file there is */
#ifndef REJECT_HEADER_WITHOUT_END
      tail = file[f].base_seen;
#endif
      for (i : 0 .. UNITS - 1) {
        if
        :: file[f].base_seen + i == tail && tail < LEN && file[f].seen[i] && at[file[f].seen[i]] == tail -> log[tail] = file[f].seen[i]; tail++
        :: else
        fi }
    :: else
    fi }
  do :: tail && !last[log[tail - 1]] -> tail--; log[tail] = 0 :: else -> break od;
  i = tail; do :: i < LEN -> log[i] = 0; i++ :: else -> break od;
  for (i : 0 .. LEN - 1) {
    if
    :: i < tail -> PROP(no_old_record, !old[log[i]]); PROP(no_half_batch, last[log[i]] || log[i + 1] == log[i] + 1)
    :: else
    fi;
    PROP(durable_survives, i >= promises || (i < tail && log[i] == promised[i])) }
  i = 0; f = 0
}

proctype Broker() {
  byte me, f, i, base, from, copied, block, inc; bool lost;
  atomic { lost = 1 };
  do
  :: {
      inc = 0;
      if
      :: lost ->
        atomic { recover() };
#ifndef REJECT_NO_FLUSH_OF_PREDECESSOR
        d_step {                                          /* what was read counts only once it is flushed */
          for (f : 0 .. FILES - 1) { for (i : 0 .. UNITS - 1) { file[f].medium[i] = file[f].seen[i] } file[f].base_medium = file[f].base_seen }
          f = 0; i = 0 };
#endif
        from = tail
      :: else -> atomic { from = durable; for (i : 0 .. FILES - 1) { if :: file[i].base_seen != NONE -> inc = i + 1 :: else fi } i = 0 }
      fi;
#ifdef REJECT_APPEND_BEHIND_CUT
      if :: lost && inc -> f = inc - 1; goto go :: else fi;
#endif
#ifdef REJECT_HEIR_REWRITES_TAIL
      if :: !lost && inc -> f = inc - 1; goto go :: else fi;
#endif
      f = inc;                                            /* a new segment, never an old one */
      atomic { file[f].base_seen = from; if :: file[f].base_medium = from :: skip fi };
#ifndef REJECT_HEADER_NOT_SYNCED
      file[f].base_medium = from;                         /* synced, with its folder, before the first record */
#endif
go:   atomic {
        if
        :: lost -> for (i : 1 .. NIDS - 1) { if :: i <= ids && (at[i] >= tail || log[at[i]] != i) -> old[i] = 1 :: else fi } i = 0
        :: else
        fi;
        publish(from); base = file[f].base_seen; memory = 1; lost = 0; inc = 0 };
end:  do
      :: tail > from ->
        atomic {                                          /* the tail block, from a private copy up to the tail, zero-filled */
          block = (from - base) / 2; i = base + 2 * block; copied = tail; if :: copied > i + 2 -> copied = i + 2 :: else fi;
          flight[me].a = log[i]; flight[me].b = 0; if :: i + 1 < copied -> flight[me].b = log[i + 1] :: else fi;
          flight[me].to = f; flight[me].block = block; flight[me].on = 1; from = copied; i = 0; block = 0; copied = 0 };
        !flight[me].on;
#ifdef REJECT_DURABLE_INSIDE_BATCH
        flush(f); atomic { publish(from) }
#else
        if
        :: last[log[from - 1]] ->
#ifndef REJECT_NO_FLUSH
          flush(f);
#endif
          atomic { publish(from); PROP(no_half_batch, last[log[durable - 1]]) }
        :: else                                           /* inside a batch: the next block first, one flush for both */
        fi
#endif
      od
    } unless { event };
    atomic { lost = (event == 2 || !memory); event = 0; me++; f = 0; i = 0; base = 0; from = 0; copied = 0; block = 0; inc = 0 }
  od
}

proctype Auditor() { timeout; atomic { PROP(all_persisted, tail == LEN && durable == LEN) } }

init {
  byte i;
  atomic { for (i : 0 .. FILES - 1) { file[i].base_seen = NONE; file[i].base_medium = NONE } i = 0; run Kernel(); run Client(); run Fate(); run Broker(); run Auditor() }
}
