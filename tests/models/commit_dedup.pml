/* Model 1c: one producer identity, its dedup cell and its hand-over (shm/PROTOCOL.md sections 3, 5, 8).
   Session X (1) sends records 1 .. NREC of the identity and may die or stall anywhere; session Z (3) appends other records into the same bytes;
   at any moment the broker moves the identity to Y (2), which goes on behind the sequence the cell told. Each generation has its own memory here
   (recycling is model 1a's); a retired generation's word is gone.
@group   commit/fence/roll/lease
@good    others       -DFENCES=1 -DOTHERS=2
@good    two-fences   -DFENCES=2 -DOTHERS=1
@good    two-records  -DFENCES=1 -DNREC=2 -DOTHERS=0
@full    two-records  -DFENCES=2 -DNREC=2 -DOTHERS=1
@full    three        -DFENCES=1 -DNREC=3 -DOTHERS=2
@reject  dedup-judged-after-free    seed_exact           -DREJECT_JUDGE_AFTER_FREE
@reject  fence-without-note         seed_exact           -DREJECT_NO_NOTE
@reject  note-after-fence           seed_exact           -DREJECT_NOTE_AFTER_FENCE
@reject  stale-note-kept            seed_exact           -DREJECT_STALE_NOTE
@reject  no-revoked                 identity_exclusive   -DREJECT_NO_REVOKED
@reject  revoked-before-acquire     identity_exclusive   -DREJECT_REVOKED_BEFORE_ACQUIRE
@reject  retry-without-void         seed_exact           -DFENCES=2 -DOTHERS=1 -DREJECT_RETRY_WITHOUT_VOID
@reject  sequence-not-last          seed_exact           -DNREC=2 -DREJECT_SEQUENCE_FIRST */
#include "property.h"
#ifndef FENCES
#define FENCES 1                      /* fences of X alive */
#endif
#ifndef NREC
#define NREC 1
#endif
#ifndef OTHERS
#define OTHERS 2                      /* records of Z */
#endif
#define CAP 2
#define NS 6
#define NONE 255
#define X 1
#define Y 2
#define Z 3
PROPERTY(seed_exact)                  /* the heir of an identity starts right behind its last committed record */
PROPERTY(no_duplicate)                /* each sequence of the identity is committed once, in order */
PROPERTY(identity_exclusive)          /* after the hand-over the old session commits nothing */
PROPERTY(nothing_lost)                /* a living heir finishes the identity's records */

typedef Slot { byte tail; bit sealed; byte owner; byte epoch; bit retired };                     /* W; the last one is the broker's knowledge */
Slot slot[NS];
typedef Half { byte gen; byte end; byte seq };
Half half[2];                         /* X's dedup cell, two halves; sequence 0 is void */
byte note_gen = NONE, note_tail;      /* the registry's note: X was fenced in this generation at this tail; one is enough */
bool revoked, dead, handed; byte seed;
byte best, ended, fences, restarts;   /* ghost: highest committed sequence of the identity */
#define W_IS(n, t, s, o, e) (slot[n].tail == t && slot[n].sealed == s && slot[n].owner == o && slot[n].epoch == e)

proctype Session(byte me) {
  byte n, t, e, h, seq, to; bit noted;
  {
    if
    :: me == X -> seq = 1; to = NREC
    :: me == Y -> handed; seq = seed + 1; to = NREC
    :: me == Z -> seq = 1; to = OTHERS
    fi;
again:
    do
    :: seq > to -> break
    :: seq <= to && slot[n].sealed -> n++
    :: seq <= to && !slot[n].sealed && slot[n].owner == 0 ->
#ifdef REJECT_REVOKED_BEFORE_ACQUIRE
      if :: me == X && revoked -> break :: else fi;
#endif
      atomic { t = slot[n].tail; e = slot[n].epoch };
      atomic { if :: W_IS(n, t, 0, 0, e) -> slot[n].owner = me :: else -> goto again fi };
#ifndef REJECT_NO_REVOKED
#ifndef REJECT_REVOKED_BEFORE_ACQUIRE
      if :: me == X && revoked -> atomic { if :: W_IS(n, t, 0, X, e) -> slot[n].owner = 0 :: else fi; break } :: else fi;
#endif
#endif
      if :: t == CAP -> atomic { if :: W_IS(n, t, 0, me, e) -> slot[n].owner = 0; slot[n].sealed = 1 :: else fi; goto again } :: else fi;
      if
      :: me == X ->
        atomic { h = (half[0].seq > half[1].seq -> 1 : 0) };                                     /* the lower half */
#ifdef REJECT_SEQUENCE_FIRST
        half[h].seq = seq; atomic { half[h].gen = n; half[h].end = t + 1 }
#else
        atomic { half[h].gen = n; half[h].end = t + 1 }; half[h].seq = seq
#endif
      :: else
      fi;
      atomic {
        if
        :: W_IS(n, t, 0, me, e) ->
          slot[n].tail = t + 1; slot[n].owner = 0;
          if
          :: me != Z -> PROP(identity_exclusive, me == Y || !handed); PROP(no_duplicate, seq == best + 1); best = seq
          :: else
          fi;
          seq++; goto again
        :: else
        fi };
#ifndef REJECT_RETRY_WITHOUT_VOID
      if :: me == X -> half[h].seq = 0 :: else fi                                                /* FENCED: void the own half, then again */
#endif
    od
  } unless { me == X && dead };
  if :: me == Y -> atomic { PROP(nothing_lost, best == NREC) } :: else fi;
  ended++
}

#define MAYBE_RESTART if :: skip :: atomic { restarts == 0 -> restarts++; goto restart } fi
#define ABOVE(h, n, t) (half[h].gen == n && half[h].end > t)
/* fence X in slot n: dead, void its halves above the tail and free the word; alive, note and seal at the tail */
inline fence(n) {
  atomic { t = slot[n].tail; e = slot[n].epoch; was_dead = dead };
  if
  :: was_dead ->
#ifdef REJECT_JUDGE_AFTER_FREE
    atomic { if :: W_IS(n, t, 0, X, e) -> slot[n].owner = 0; slot[n].epoch++ :: else fi }; MAYBE_RESTART
#else
    atomic { if :: slot[n].owner == X && slot[n].tail == t ->                                    /* X cannot move any more: its halves stand still */
      if :: ABOVE(0, n, t) -> half[0].seq = 0 :: else fi; if :: ABOVE(1, n, t) -> half[1].seq = 0 :: else fi :: else fi }; MAYBE_RESTART;
    atomic { if :: W_IS(n, t, 0, X, e) -> slot[n].owner = 0; slot[n].epoch++ :: else fi }; MAYBE_RESTART
#endif
  :: else ->
#ifndef REJECT_NO_NOTE
#ifndef REJECT_NOTE_AFTER_FENCE
    atomic { note_gen = n; note_tail = t }; MAYBE_RESTART;
#endif
#endif
    atomic { if :: W_IS(n, t, 0, X, e) -> slot[n].owner = 0; slot[n].epoch++; slot[n].sealed = 1; fences++; ok = 1 :: else ok = 0 fi };
    MAYBE_RESTART;
#ifdef REJECT_NOTE_AFTER_FENCE
    if :: ok -> note_gen = n; note_tail = t :: else fi
#else
    if :: !ok -> note_gen = NONE :: else fi
#endif
  fi
}
#define VALID(h) (half[h].seq && !(note_gen == half[h].gen && half[h].end > note_tail) && (slot[half[h].gen].retired || half[h].end <= slot[half[h].gen].tail))

proctype Broker() {
  byte n, i, t, e; bit ok, was_dead;
restart:
  atomic {
#ifndef REJECT_STALE_NOTE
    /* a note whose fence never happened, or was overtaken by a commit, is no note */
    if :: note_gen != NONE && !(slot[note_gen].sealed && slot[note_gen].tail == note_tail) -> note_gen = NONE :: else fi;
#endif
    n = 0; i = 0; t = 0; e = 0; ok = 0; was_dead = 0 };
  do
  :: atomic { i < NS - 1 && slot[i].owner == X && (dead || fences < FENCES) -> n = i }; fence(n); goto restart
  :: i < NS - 1 && slot[i].sealed -> i++                                                         /* the oldest open slot */
  :: atomic { slot[0].sealed && !slot[0].retired -> slot[0].retired = 1 }                        /* durable and recycled, its word is gone */
  :: atomic { slot[1].sealed && slot[0].retired && !slot[1].retired -> slot[1].retired = 1 }
  :: !handed ->
    revoked = 1; MAYBE_RESTART;
    n = 0;
    do
    :: n == NS -> break
    :: n < NS && slot[n].owner != X -> n++
    :: n < NS && slot[n].owner == X && (dead || fences < FENCES) -> fence(n)
    od;
    atomic {
      seed = (VALID(0) -> half[0].seq : 0); if :: VALID(1) && half[1].seq > seed -> seed = half[1].seq :: else fi;
      PROP(seed_exact, seed == best); handed = 1 };
    goto restart
  :: ended == 3 -> break
  od
}

init { atomic { run Session(X); run Session(Y); run Session(Z); run Broker() }; if :: dead = 1 :: skip fi }
