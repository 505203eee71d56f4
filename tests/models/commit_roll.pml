/* Model 1a: append, fence, roll, base rule, re-initialisation (shm/PROTOCOL.md sections 2, 3, 5).
   NP producers append NREC records each; slots hold CAP records; K slots on the board; slot n is its own generation. A producer may die after
   every step (unless) or stand still while others go on (interleaving) and resume after its fence. The broker may restart between any two stores.
@group   commit/fence/roll/lease
@good    one-record      -DNREC=1 -DSEALS=1 -DRESTARTS=1
@good    two-seals       -DNREC=1 -DSEALS=2 -DRESTARTS=0
@good    three-slots     -DNREC=1 -DSEALS=1 -DRESTARTS=1 -DK=3
@full    two-records     -DNREC=2 -DSEALS=1 -DRESTARTS=0
@full    both            -DNREC=1 -DSEALS=2 -DRESTARTS=1
@reject  plain-store-commit        nothing_lost         -DNREC=2 -DREJECT_PLAIN_STORE
@reject  no-generation-check       base_known           -DNREC=2 -DREJECT_NO_GENERATION_CHECK
@reject  reuse-after-live-fence    committed_unchanged  -DRESTARTS=0 -DREJECT_REUSE_AFTER_LIVE_FENCE
@reject  recycle-under-zombie      base_known           -DNREC=2 -DREJECT_RECYCLE_UNDER_ZOMBIE
@reject  note-after-fence          base_known           -DNREC=2 -DREJECT_NOTE_AFTER_FENCE
@reject  retire-before-base        base_known           -DNREC=2 -DREJECT_RETIRE_BEFORE_BASE
@reject  seal-at-0-before-base     base_known           -DK=3 -DREJECT_SEAL_BEFORE_BASE
@reject  half-retired-forgotten    end_state            -DREJECT_HALF_RETIRED_FORGOTTEN */
#include "property.h"
#ifndef NP
#define NP 2
#endif
#ifndef NREC
#define NREC 1
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef SEALS
#define SEALS 1                       /* stall fences and seals by the broker */
#endif
#ifndef RESTARTS
#define RESTARTS 1                    /* deaths of the broker between two of its stores */
#endif
#ifndef K
#define K 2                           /* slots on the board */
#endif
#define M (K + SEALS + RESTARTS)     /* memories: a fence, and a note whose broker died before its fence, may each cost a fresh one */
#define NONE 255
PROPERTY(offsets_dense)               /* a commit gets exactly the next offset */
PROPERTY(no_duplicate)                /* no record is committed twice */
PROPERTY(committed_unchanged)         /* what the log holds at an offset is what was committed there, whole; nothing uncommitted shows */
PROPERTY(nothing_lost)                /* every committed record is found in the slot it was committed to */
PROPERTY(base_known)                  /* the first writer of a slot always finds its base */

typedef Mem {
  byte tail; bit sealed; byte owner; byte epoch;        /* W: one word, every access to these four is one step */
  byte gen; byte base;                                  /* line 4 */
  byte pend[2]; byte pgen[2]; byte pnext[2];            /* commit pairs */
  byte data[CAP]; byte note                             /* the records; the registry's note (session fenced alive in this generation) */
};
Mem mem[M];
byte board_n[K], board_mem[K];        /* entry n mod K: {n, memory}; the seqlock read of one entry is one step */
bool dead[NP + 1];
byte ended, fresh = K, seals, restarts;
byte log_len, log[NP * NREC + 1], first[16], found;     /* ghost: what was committed, where each generation began, records met again */

#define W_IS(m, t, s, o, e) (mem[m].tail == t && mem[m].sealed == s && mem[m].owner == o && mem[m].epoch == e)
#if K == 2
#define OLDEST (board_n[0] < board_n[1] -> 0 : 1)
#else
#define OLDEST (board_n[0] < board_n[1] && board_n[0] < board_n[2] -> 0 : (board_n[1] < board_n[2] -> 1 : 2))
#endif
#define AFTER(i) ((i + 1) % K)
#define BEHIND(i) ((i + K - 1) % K)
/* current pair of a slot at tail t: end and generation match */
#define PAIR(m, t, n) (mem[m].pend[0] == t && mem[m].pgen[0] == n -> 0 : (mem[m].pend[1] == t && mem[m].pgen[1] == n -> 1 : NONE))

proctype Producer(byte me) {
  byte n, m, before, t, e, pair, off, left;
  {
    left = NREC;
enter:
    atomic { n = OLDEST; m = board_mem[n]; n = board_n[n]; before = NONE }                             /* the oldest slot on the board */
again:
    do
    :: left == 0 -> break
    :: else ->
      d_step { t = mem[m].tail; e = mem[m].epoch; pair = mem[m].sealed; off = mem[m].owner }         /* one load of W */
      if
      :: pair -> goto next
      :: !pair && off -> (mem[m].owner != off || mem[m].tail != t || mem[m].sealed || mem[m].epoch != e); goto again
      :: else
      fi;
      atomic { if :: W_IS(m, t, 0, 0, e) -> mem[m].owner = me :: else -> goto again fi }             /* acquire */
#ifndef REJECT_NO_GENERATION_CHECK
      if
      :: mem[m].gen != n -> goto release
      :: else
      fi;
#endif
      if
      :: t > 0 -> atomic { pair = PAIR(m, t, n); PROP(base_known, pair != NONE); off = mem[m].pnext[pair] }
      :: else ->
        pair = 1; atomic { off = mem[m].base; PROP(base_known, off != NONE || before != NONE) };
        if
        :: off != NONE
        :: else ->
          atomic {
            t = PAIR(before, mem[before].tail, n - 1);
            if :: t != NONE -> off = mem[before].pnext[t] :: else -> off = mem[before].base fi; t = 0 };
          if
          :: mem[before].gen == n - 1 && off != NONE
          :: else -> atomic { off = mem[m].base; PROP(base_known, off != NONE) }
          fi
        fi
      fi;
      if
      :: t == CAP ->                                                                                  /* no room: seal and roll */
        atomic { if :: W_IS(m, t, 0, me, e) -> mem[m].owner = 0; mem[m].sealed = 1 :: else fi }; goto next
      :: else
      fi;
      mem[m].data[t] = me * 8 + left;
      pair = 1 - pair; atomic { mem[m].pend[pair] = t + 1; mem[m].pgen[pair] = n }; mem[m].pnext[pair] = off + 1;
      atomic {                                                                                        /* commit and unlock */
        if
#ifdef REJECT_PLAIN_STORE
        :: true -> mem[m].epoch = e; mem[m].sealed = 0;
#else
        :: W_IS(m, t, 0, me, e) ->
#endif
          mem[m].tail = t + 1; mem[m].owner = 0;
          PROP(offsets_dense, off == log_len);
          for (t : 0 .. log_len) { PROP(no_duplicate, log[t] != me * 8 + left) }
          if :: mem[m].tail == 1 -> first[n] = log_len :: else fi;
          log[log_len] = me * 8 + left; log_len++; left--
#ifndef REJECT_PLAIN_STORE
        :: else                                                                                       /* FENCED: not committed, again */
#endif
        fi
      }
    od;
    goto out;
release:
    atomic { if :: W_IS(m, t, 0, me, e) -> mem[m].owner = 0 :: else fi }; goto enter;
next:
    atomic {
      board_n[(n + 1) % K] >= n + 1 || board_n[n % K] > n;
      if :: board_n[(n + 1) % K] == n + 1 -> before = m; n++; m = board_mem[n % K] :: else -> goto enter fi
    };
    goto again;
out: skip
  } unless { dead[me] };
  ended++
}

#define MAYBE_RESTART if :: skip :: atomic { restarts < RESTARTS -> restarts++; goto restart } fi
/* what the base of the slot behind memory a (generation g) is: n's pair, or a slot sealed at 0 passes its base on */
inline base_behind(a, g) { pair = PAIR(a, mem[a].tail, g); if :: mem[a].tail && pair != NONE -> base = mem[a].pnext[pair] :: else -> base = mem[a].base fi }
inline meet(a, g) {                    /* persister and cold readers: compare a whole slot with what was committed */
  for (pair : 0 .. CAP - 1) {
    if :: pair < mem[a].tail && mem[a].gen == g -> PROP(committed_unchanged, mem[a].data[pair] == log[first[g] + pair]); found++ :: else fi
  }
}

#define CAN_FREE(i) (mem[board_mem[i]].gen == board_n[i] && dead[mem[board_mem[i]].owner])
#ifdef REJECT_SEAL_BEFORE_BASE
#define BASE_IN_REACH(i) true
#else
#define BASE_IN_REACH(i) (mem[board_mem[i]].tail || board_n[BEHIND(i)] != board_n[i] - 1 || mem[board_mem[BEHIND(i)]].sealed)
#endif
#define CAN_SEAL(i) (seals < SEALS && mem[board_mem[i]].gen == board_n[i] && !mem[board_mem[i]].sealed && !dead[mem[board_mem[i]].owner] && BASE_IN_REACH(i))
/* line 4 ahead of the board: a broker died while re-initialising; its heir does it again */
#ifdef REJECT_HALF_RETIRED_FORGOTTEN
#define HALF_RETIRED(i) false
#else
#define HALF_RETIRED(i) (mem[board_mem[i]].gen != board_n[i])
#endif
#define CAN_RETIRE(i) ((mem[board_mem[i]].sealed || HALF_RETIRED(i)) && board_n[AFTER(i)] == board_n[i] + 1 && i == OLDEST)
#define CAN(i) (CAN_FREE(i) || CAN_SEAL(i) || CAN_RETIRE(i))

proctype Broker() {
  byte i, m, n, t, e, x, base, pair; bit s;
restart:
  atomic { i = 0; m = 0; n = 0; t = 0; e = 0; x = 0; base = 0; pair = 0; s = 0 };
  atomic {
    if
    :: ended == NP -> goto finish
    :: ended < NP && CAN(0) -> i = 0
    :: ended < NP && CAN(1) -> i = 1
#if K > 2
    :: ended < NP && CAN(2) -> i = 2
#endif
    fi;
    n = board_n[i]; m = board_mem[i]; t = mem[m].tail; e = mem[m].epoch; x = mem[m].owner;
    if
    :: CAN_FREE(i) -> mem[m].owner = 0; mem[m].epoch++; goto restart        /* proven dead: free the word, re-use the bytes */
    :: CAN_SEAL(i) -> goto seal                                             /* stalled, or a drain: seal at the tail */
    :: CAN_RETIRE(i) -> s = (mem[m].gen == n); goto retire                  /* !s: a predecessor died while re-initialising */
    fi
  };
seal:
#ifndef REJECT_SEAL_BEFORE_BASE
  if
  :: t == 0 && mem[m].base == NONE -> atomic { base_behind(board_mem[BEHIND(i)], n - 1); mem[m].base = base; PROP(base_known, base != NONE) }; MAYBE_RESTART
  :: else
  fi;
#endif
#ifndef REJECT_NOTE_AFTER_FENCE
  if :: x -> mem[m].note = x; MAYBE_RESTART :: else fi;
#endif
  atomic {
    if
    :: W_IS(m, t, 0, x, e) ->
      mem[m].owner = 0; mem[m].epoch++; seals++;
#ifndef REJECT_REUSE_AFTER_LIVE_FENCE
      mem[m].sealed = 1
#endif
    :: else -> goto unnote
    fi };
#ifdef REJECT_NOTE_AFTER_FENCE
  MAYBE_RESTART; if :: x -> mem[m].note = x :: else fi;
#endif
  goto restart;
unnote:
  if :: x -> mem[m].note = 0 :: else fi;
  goto restart;
retire:
#ifndef REJECT_RETIRE_BEFORE_BASE
  if
  :: s && mem[board_mem[AFTER(i)]].tail == 0 && mem[board_mem[AFTER(i)]].base == NONE ->
    atomic { base_behind(m, n); PROP(base_known, base != NONE); mem[board_mem[AFTER(i)]].base = base }; MAYBE_RESTART
  :: else
  fi;
#endif
#ifndef REJECT_RECYCLE_UNDER_ZOMBIE
  if
  :: s && mem[m].note && !dead[mem[m].note] ->                              /* zombie: a fresh memory takes its place, the old one is orphaned */
    d_step { mem[fresh].gen = n + K; mem[fresh].base = NONE }; MAYBE_RESTART;
    d_step { meet(m, n); board_mem[i] = fresh; board_n[i] = n + K; fresh++ }; goto restart
  :: else
  fi;
#endif
  d_step { if :: s -> meet(m, n); mem[m].note = 0 :: else fi; mem[m].gen = n + K; mem[m].base = NONE }; MAYBE_RESTART;
  d_step { mem[m].pgen[0] = NONE; mem[m].pgen[1] = NONE }; MAYBE_RESTART;
  d_step { mem[m].tail = 0; mem[m].owner = 0; mem[m].sealed = 0; mem[m].epoch++ }; MAYBE_RESTART;
  board_n[i] = n + K; goto restart;
finish:
  atomic { for (i : 0 .. K - 1) { meet(board_mem[i], board_n[i]) } PROP(nothing_lost, found == log_len) }
}

init {
  byte i;
  atomic {
    for (i : 0 .. K - 1) { board_n[i] = i; board_mem[i] = i; mem[i].gen = i; mem[i].base = (i -> NONE : 0) }
    for (i : 0 .. M - 1) { mem[i].pgen[0] = NONE; mem[i].pgen[1] = NONE; if :: i >= K -> mem[i].gen = NONE :: else fi };
    i = 1; run Broker(); do :: i <= NP -> run Producer(i); i++ :: else -> break od; i = 0
  };
  if :: dead[1] = 1 :: skip fi        /* producer 1 may be killed at any moment */
}
