/* Model 4a: eventcounts (shm/PROTOCOL.md section 6).
   NP producers commit NREC records each into slot 0, which is sealed after CAP0 records, then slot 1, and knock after each publication; NC consumers
   sleep when they see nothing. Producer 0 may be killed (the broker sweeps) or be stopped for ever (nobody sweeps) after every step, consumer 0 may be
   killed. No sleep has a time limit. When nothing moves any more, every living consumer must have all records whose knock is done.
@group   wait/wake
@good    one-consumer    -DNP=2 -DNC=1 -DNREC=2
@good    one-producer    -DNP=1 -DNC=2 -DNREC=2
@good    nobody-dies     -DNP=2 -DNC=2 -DNREC=1 -DFAULT=0
@full    producer-stops  -DNP=2 -DNC=2 -DNREC=1 -DFAULT=2
@full    producer-dies   -DNP=2 -DNC=2 -DNREC=1 -DFAULT=1
@full    consumer-dies   -DNP=2 -DNC=2 -DNREC=1 -DFAULT=4
@reject  flag-and-other-word       no_lost_wakeup       -DCAP0=9 -DREJECT_FLAG_OTHER_WORD
@reject  flag-granularity          no_lost_wakeup       -DREJECT_FLAG_GRANULARITY
@reject  flag-0-1                  no_lost_wakeup       -DCAP0=9 -DREJECT_FLAG_01
@reject  waiter-counter            wake_cost_bounded    -DREJECT_WAITER_COUNTER
@reject  clear-then-wake           no_lost_wakeup       -DREJECT_CLEAR_THEN_WAKE
@reject  no-re-check               no_lost_wakeup       -DREJECT_NO_RECHECK
@reject  no-death-sweep            swept                -DREJECT_NO_SWEEP */
#include "property.h"
#ifndef NP
#define NP 2
#endif
#ifndef NC
#define NC 2
#endif
#ifndef NREC
#define NREC 1
#endif
#ifndef CAP0
#define CAP0 1
#endif
#ifndef FAULT
#define FAULT 7                       /* 1 kill a producer, 2 stop it for ever, 4 kill a consumer */
#endif
PROPERTY(no_lost_wakeup)              /* a record whose knock is done, or whose producer is dead and swept, is seen by everybody alive */
PROPERTY(swept)                       /* nobody sleeps over a record whose producer is dead */
PROPERTY(wake_cost_bounded)           /* waiters that are gone cost later appends at most one wake-up */

byte tail[2]; bool sealed;            /* what W says: committed records of slot 0 and 1, slot 0 sealed */
byte word;                            /* the eventcount: bit 0 somebody may sleep, above it the epoch. Rejected: a flag, or a counter of waiters */
byte epoch;                           /* rejected waiter counter: its futex word */
bool asleep[NC]; byte asleep_on[NC];
byte gone[NP], knocked;               /* 1 killed, 2 stopped for ever; ghost: records whose knock is done */
bool gone_c[NC]; byte got[NC];

inline wake_all(s) {                  /* FUTEX_WAKE: one step */
  for (i : 0 .. NC - 1) {
#ifdef REJECT_FLAG_GRANULARITY
    if :: asleep_on[i] == s -> asleep[i] = 0 :: else fi
#else
    asleep[i] = 0
#endif
  }
  i = 0
}
inline knock(s) {                     /* load the word; if somebody may sleep, FUTEX_WAKE_OP changes it and wakes in one step */
#if defined(REJECT_WAITER_COUNTER)
  epoch++; if :: word -> d_step { wake_all(s) } :: else fi
#elif defined(REJECT_FLAG_OTHER_WORD) || defined(REJECT_FLAG_GRANULARITY) || defined(REJECT_FLAG_01)
  if :: word -> d_step { word = 0; wake_all(s) } :: else fi
#elif defined(REJECT_CLEAR_THEN_WAKE)
  if :: word & 1 -> word++; d_step { wake_all(s) } :: else fi
#else
  if :: word & 1 -> d_step { word++; wake_all(s) } :: else fi
#endif
}

proctype Producer(byte me) {
  byte k, mine, i;
  {
    do
    :: k == NREC -> break
    :: k < NREC && !sealed && tail[0] == CAP0 -> sealed = 1; knock(0)
    :: k < NREC && (sealed || tail[0] < CAP0) ->
      atomic {
        if
        :: !sealed && tail[0] < CAP0 -> tail[0]++; k++; mine = tail[0] + tail[1]
        :: sealed -> tail[1]++; k++; mine = tail[0] + tail[1]
        :: else -> mine = 0
        fi };
      knock(mine > CAP0);
      d_step { if :: mine > knocked -> knocked = mine :: else fi; mine = 0 }
    od
  } unless { gone[me] }
}

#define TAIL tail[slot]
#define NEWS (TAIL > pos || (!slot && sealed))
proctype Consumer(byte me) {
  byte pos, slot, k; bit s;
  {
    do
    :: TAIL > pos -> atomic { pos++; got[me]++ }
    :: TAIL == pos && !slot && sealed -> atomic { if :: TAIL == pos -> slot = 1; pos = 0 :: else fi }
    :: else ->
#if defined(REJECT_WAITER_COUNTER)
      word++; k = epoch;
#elif defined(REJECT_FLAG_OTHER_WORD) || defined(REJECT_FLAG_GRANULARITY)
      word = 1; atomic { k = TAIL; s = sealed };
#elif defined(REJECT_FLAG_01)
      word = 1;
#else
      k = word; if :: !(k & 1) -> atomic { if :: word == k -> word++; k++ :: else -> k = 255 fi } :: else fi;      /* set bit 0 by CAS; 255: start again */
#endif
      if
#ifndef REJECT_NO_RECHECK
#if defined(REJECT_FLAG_OTHER_WORD) || defined(REJECT_FLAG_GRANULARITY)
      :: k > pos || (!slot && s)
#else
      :: k == 255 || NEWS
#endif
#endif
      :: else ->
        atomic {                                                                                     /* FUTEX_WAIT: compare and sleep in one step */
#if defined(REJECT_WAITER_COUNTER)
          if :: epoch == k
#elif defined(REJECT_FLAG_OTHER_WORD) || defined(REJECT_FLAG_GRANULARITY)
          if :: TAIL == k && sealed == s
#elif defined(REJECT_FLAG_01)
          if :: word == 1
#else
          if :: word == k
#endif
            -> asleep[me] = 1; asleep_on[me] = slot
          :: else fi };
end:    !asleep[me]
      fi;
#ifdef REJECT_WAITER_COUNTER
      word--;
#endif
      k = 0; s = 0
    od
  } unless { gone_c[me] };
  asleep[me] = 0                       /* a killed sleeper leaves the futex's queue */
}

/* the broker knocks for a dead producer, which may have died between its publication and its wake-up */
proctype Broker() {
  byte i, all;
end:
  gone[0] == 1;
  all = tail[0] + tail[1]; knock(0); knock(1);
  d_step { if :: all > knocked -> knocked = all :: else fi }
}

/* when nothing moves any more: has everybody everything; and what does one append cost, and the next, when all waiters are gone? */
proctype Auditor() {
  byte i;
  timeout;
  atomic { for (i : 0 .. NC - 1) { PROP(no_lost_wakeup, gone_c[i] || got[i] >= knocked);
    PROP(swept, gone_c[i] || gone[0] != 1 || got[i] == tail[0] + tail[1]); gone_c[i] = 1 } i = 0 };
  timeout;
  knock(0);
#if defined(REJECT_WAITER_COUNTER) || defined(REJECT_FLAG_OTHER_WORD) || defined(REJECT_FLAG_GRANULARITY) || defined(REJECT_FLAG_01)
  atomic { PROP(wake_cost_bounded, word == 0) }
#else
  atomic { PROP(wake_cost_bounded, !(word & 1)) }
#endif
}

init {
  byte i;
  atomic {
    for (i : 0 .. NP - 1) { run Producer(i) } for (i : 0 .. NC - 1) { run Consumer(i) } run Auditor(); i = 0;
#ifndef REJECT_NO_SWEEP
    run Broker()
#endif
  };
  if :: FAULT & 1 -> gone[0] = 1 :: FAULT & 2 -> gone[0] = 2 :: FAULT & 4 -> gone_c[0] = 1 :: skip fi
}
