/* Model 4b: the broker's word, its eventfd, and sleepers it must ring (shm/PROTOCOL.md section 6, last two paragraphs).
   Writers append and look at the broker's word (0 awake, 1 parked with the flush timer running, 2 parked without); each then waits on the `durable`
   eventcount for its record, or does not. One reader without the knock page sleeps on its doorbell. A writer may be killed after every step; the
   broker may be killed and restarted. The flush timer never fires here: who may rely on it is told apart from who must not.
@group   wait/wake
@good    waiters         -DNW=2 -DREADER=0
@good    doorbell        -DNW=2 -DWAITERS=0 -DDEATH=0
@good    restart         -DNW=1 -DRESTARTS=1
@full    two-restarts    -DNW=1 -DRESTARTS=2
@full    death           -DNW=2 -DWAITERS=0
@reject  park-without-re-check     unseen_at_2          -DNW=1 -DREADER=0 -DWAITERS=0 -DREJECT_PARK_NO_RECHECK
@reject  word-read-before-append   unseen_at_2          -DNW=1 -DREADER=0 -DWAITERS=0 -DREJECT_WORD_BEFORE_APPEND
@reject  park-ignores-waiters      durable_told         -DREADER=0 -DREJECT_PARK_NO_RECHECK_DURABLE
@reject  word-read-before-arming   durable_told         -DREADER=0 -DREJECT_WORD_BEFORE_ARM
@reject  no-eventfd-at-1           durable_told         -DNW=1 -DREADER=0 -DREJECT_NO_EVENTFD_AT_1
@reject  park-at-1-with-sleeper    doorbell_rung        -DWAITERS=0 -DDEATH=0 -DREJECT_PARK_1_WITH_SLEEPER
@reject  sleeper-says-nothing      doorbell_rung        -DWAITERS=0 -DDEATH=0 -DREJECT_SLEEPER_SILENT
@reject  restart-knocks-nobody     durable_told         -DNW=1 -DREADER=0 -DRESTARTS=1 -DREJECT_RESTART_SILENT */
#include "property.h"
#ifndef NW
#define NW 2
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef READER
#define READER 1                      /* is there a reader that sleeps on its doorbell */
#endif
#ifndef WAITERS
#define WAITERS 1                     /* may writers wait for durability */
#endif
#ifndef DEATH
#define DEATH 1                       /* may writer 0 be killed */
#endif
PROPERTY(durable_told)                /* who waits for durability is told, without the flush timer */
PROPERTY(doorbell_rung)               /* a doorbell sleeper is rung for every record whose writer has done its part or is dead */
PROPERTY(unseen_at_2)                 /* no such record lies unseen while the broker is parked without a timer */

byte tail, durable, seen;             /* committed; durable position; what the broker saw before it parked (ghost for the auditor) */
byte word;                            /* the broker's word in the knock page */
bool eventfd, hello;                  /* pending wake-ups of the broker: the eventfd; a control message "I go to sleep" */
byte dur, bell;                       /* eventcounts: durable (knock page), doorbell (session page); bit 0 somebody may sleep */
bool dur_asleep[NW], bell_asleep;
byte got, mine[NW], restarts;         /* the reader's position in its session page; each writer's record; restarts to come */
bool dead, swept, done[NW], waits[NW];

inline arm(w, k) { k = w; if :: !(k & 1) -> atomic { if :: w == k -> w++; k++ :: else -> k = 255 fi } :: else fi }      /* UNREACHED: the CAS of a sole waiter may find nobody in its way */

proctype Writer(byte me) {
  byte k, b;
  {
    if :: WAITERS -> waits[me] = 1 :: skip fi;
#ifdef REJECT_WORD_BEFORE_APPEND
    b = word; atomic { tail++; mine[me] = tail };
#else
    atomic { tail++; mine[me] = tail }; b = word;
#endif
    if :: b == 2 -> eventfd = 1 :: else fi;
    done[me] = 1; b = 0;
#ifdef REJECT_WORD_BEFORE_ARM
    b = word;
#endif
    do
    :: !waits[me] || durable >= mine[me] -> break
    :: else ->
      arm(dur, k);
#ifndef REJECT_WORD_BEFORE_ARM
      b = word;
#endif
#ifdef REJECT_NO_EVENTFD_AT_1
      if :: b == 2 -> eventfd = 1 :: else fi;
#else
      if :: b -> eventfd = 1 :: else fi;
#endif
      if
      :: k == 255 || durable >= mine[me]
      :: else ->
        atomic { if :: dur == k -> dur_asleep[me] = 1 :: else fi };
end:    !dur_asleep[me]
      fi;
      k = 0; b = 0
    od
  } unless { me == 0 && dead };
  dur_asleep[me] = 0
}

proctype Reader() {
  byte k;
  do
  :: got < tail -> got = tail
  :: else ->
    arm(bell, k);
#ifndef REJECT_SLEEPER_SILENT
    hello = 1;
#endif
    if
    :: k == 255 || got < tail
    :: else ->
      atomic { if :: bell == k -> bell_asleep = 1 :: else fi };
end:  !bell_asleep
    fi;
    k = 0
  od
}

#if RESTARTS == 0
#define MAYBE_RESTART skip
#else
#define MAYBE_RESTART if :: skip :: atomic { restarts -> restarts--; goto restart } fi
#endif
inline tell_durable() { d_step { for (i : 0 .. NW - 1) { dur_asleep[i] = 0 } i = 0; if :: dur & 1 -> dur++ :: else fi } }
proctype Broker() {
  byte t, i;
  goto awake;
restart:
  t = 0;
#ifndef REJECT_RESTART_SILENT
  tell_durable(); d_step { bell_asleep = 0; if :: bell & 1 -> bell++ :: else fi };
#endif
awake:
  word = 0; MAYBE_RESTART;
  atomic { eventfd = 0; hello = 0; swept = dead };
  t = tail;
  if
  :: t > durable -> durable = t; MAYBE_RESTART; if :: dur & 1 -> tell_durable() :: else fi; MAYBE_RESTART
  :: t > durable && !(dur & 1)                                      /* nobody waits: leave it to the flush timer */
  :: t <= durable
  fi;
  if :: bell & 1 && got < t -> d_step { bell_asleep = 0; bell++ } :: else fi; MAYBE_RESTART;
  seen = t;
  if
#ifdef REJECT_PARK_1_WITH_SLEEPER
  :: t > durable -> word = 1
#else
  :: t > durable && !(bell & 1) -> word = 1
#endif
  :: else -> word = 2
  fi; MAYBE_RESTART;
#ifndef REJECT_PARK_NO_RECHECK
  if :: tail != t -> goto awake :: else fi;
#endif
#ifndef REJECT_PARK_NO_RECHECK_DURABLE
  if :: t > durable && dur & 1 -> goto awake :: else fi;
#endif
end:
  if :: eventfd || hello || swept != dead -> goto awake :: atomic { restarts -> restarts--; goto restart } fi
}

#define REACHES(w) (done[w] || (w == 0 && dead))
proctype Auditor() {
  byte i;
  timeout;
  atomic {
    for (i : 0 .. NW - 1) {
      PROP(durable_told, !dur_asleep[i]);
      PROP(doorbell_rung, !REACHES(i) || got >= mine[i]);
      PROP(unseen_at_2, !REACHES(i) || word != 2 || seen >= mine[i])
    } }
}

init {
  byte i;
  atomic { for (i : 0 .. NW - 1) { run Writer(i) } if :: READER -> run Reader() :: else -> got = NW fi; run Broker(); run Auditor(); i = 0; if :: true :: restarts = RESTARTS fi };
  if :: DEATH -> dead = 1 :: skip fi
}
