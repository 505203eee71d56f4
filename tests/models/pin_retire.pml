/* Model 3: pin, retire, replace (shm/PROTOCOL.md sections 4, 5).
   NR readers walk the generations with two pins each (rolling holds two) and read through a pin as long as they like; one may die and one may stand
   still for ever, pinned. The broker brings GENS generations through K slots, in place where nobody pins, else by replacing the memory, and may
   itself die between any two stores. A late reader may hold an old look at the board.
@group   pin/retire/replace
@good    two-readers     -DNR=2 -DGENS=3 -DROLLS=1
@good    rolling         -DNR=1 -DGENS=5 -DROLLS=3
@good    two-restarts    -DNR=1 -DGENS=4 -DROLLS=3 -DRESTARTS=2
@full    both-roll       -DNR=2 -DGENS=3 -DROLLS=2 -DRESTARTS=0
@full    both-restart    -DNR=2 -DGENS=2 -DROLLS=2
@reject  pin-checked-on-board       pinned_unchanged     -DNR=1 -DREJECT_PIN_ON_BOARD
@reject  scan-before-mark           pinned_unchanged     -DNR=1 -DREJECT_SCAN_BEFORE_MARK
@reject  generation-before-mark     pinned_unchanged     -DNR=1 -DREJECT_GENERATION_BEFORE_MARK
@reject  pin-after-check            pinned_unchanged     -DNR=1 -DREJECT_PIN_AFTER_CHECK
@reject  wait-for-pins              producers_go_on      -DNR=1 -DREJECT_WAIT_FOR_PINS
@reject  mark-down-before-line-4    pinned_unchanged     -DNR=1 -DREJECT_MARK_DOWN_FIRST */
#include "property.h"
#ifndef NR
#define NR 2
#endif
#ifndef GENS
#define GENS 3                        /* highest generation to reach */
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef ROLLS
#define ROLLS 3                       /* slots a reader tries to pin */
#endif
#define K 2
#define M (GENS + 1 + RESTARTS)
#define NONE 255
PROPERTY(pinned_unchanged)            /* what a reader sees through a checked pin is its generation and stays so */
PROPERTY(producers_go_on)             /* stopped readers stop no roll: every generation becomes READY */

byte gen[M], content[M];              /* line 4's slot_gen; the records, as the generation they belong to */
bit mark[M];                          /* line 4's retiring mark */
byte board_n[K], board_mem[K];        /* one entry is read and written in one step (seqlock) */
byte pin[2 * NR];                     /* session pages: two pins per reader */
byte gone[NR], fresh = K, restarts, tries;   /* 1 dead (pidfd readable), 2 stopped for ever */

proctype Reader(byte me) {
  byte i, n, m, a, rolls; bit holds, ok;
  {
    a = 2 * me;
    do
    :: rolls == ROLLS -> break
    :: rolls < ROLLS ->
      atomic { select(i : 0 .. K - 1); n = board_n[i]; m = board_mem[i]; i = 0; rolls++ };           /* may be old by the time it is used */
#ifndef REJECT_PIN_AFTER_CHECK
      pin[a] = m;
#endif
#ifdef REJECT_PIN_ON_BOARD
      ok = (board_n[n % K] == n && board_mem[n % K] == m);
#elif defined(REJECT_GENERATION_BEFORE_MARK)
      ok = (gen[m] == n); ok = (ok && !mark[m]);
#else
      ok = !mark[m]; ok = (ok && gen[m] == n);
#endif
#ifdef REJECT_PIN_AFTER_CHECK
      pin[a] = m;
#endif
      if
      :: ok ->
        if :: holds -> pin[4 * me + 1 - a] = NONE :: else fi;                                        /* rolled: give the old pin back */
        holds = 1; a = 4 * me + 1 - a;
        atomic { PROP(pinned_unchanged, content[m] == n) };                                          /* a view ... */
        atomic { PROP(pinned_unchanged, content[m] == n); n = 0; m = 0; ok = 0 }                     /* ... and at its end */
      :: else -> atomic { pin[a] = NONE; n = 0; m = 0 }                                                      /* go cold */
      fi
    od;
    pin[2 * me] = NONE; pin[2 * me + 1] = NONE
  } unless { gone[me] }
}

#define MAYBE_RESTART if :: skip :: atomic { restarts < RESTARTS -> restarts++; goto restart } fi
inline scan(m) {
  found = 0; i = 0;
  do :: i < 2 * NR -> atomic { if :: pin[i] == m && gone[i / 2] != 1 -> found = 1 :: else fi; i++ } :: else -> break od
}
proctype Broker() {
  byte e, n, m, i; bit found;
restart:
  do
  :: atomic { board_n[0] == GENS || board_n[1] == GENS -> break }
  :: else ->
    atomic { found = 0; i = 0; e = (board_n[0] < board_n[1] -> 0 : 1); n = board_n[e]; m = board_mem[e] };
    if
    :: gen[m] != n -> goto reinit                                    /* a predecessor died while re-initialising: nobody can have pinned it since */
    :: else
    fi;
#ifdef REJECT_SCAN_BEFORE_MARK
    scan(m); mark[m] = 1; MAYBE_RESTART;
#else
    mark[m] = 1; MAYBE_RESTART; scan(m);
#endif
    if
    :: found -> mark[m] = 0;                                         /* take the mark back; wait, or replace: the old memory is orphaned as it is */
#ifdef REJECT_WAIT_FOR_PINS
      if :: (pin[0] != m && pin[1] != m) || gone[0] == 1 :: timeout -> atomic { PROP(producers_go_on, false) } fi
#else
      if
      :: atomic { gen[fresh] = n + K; content[fresh] = n + K }; MAYBE_RESTART; atomic { board_n[e] = n + K; board_mem[e] = fresh; fresh++ }
      :: tries == 0 -> tries++
      fi
#endif
    :: else ->
reinit:
#ifdef REJECT_MARK_DOWN_FIRST
      mark[m] = 0; MAYBE_RESTART;
#endif
      gen[m] = n + K; MAYBE_RESTART;
      content[m] = n + K; MAYBE_RESTART;
      mark[m] = 0; MAYBE_RESTART;
      board_n[e] = n + K
    fi
  od;
  atomic { PROP(producers_go_on, board_n[GENS % K] == GENS) }
}

init {
  byte i;
  atomic {
    board_n[1] = 1; board_mem[1] = 1; gen[1] = 1; content[1] = 1;
    for (i : 0 .. 2 * NR - 1) { pin[i] = NONE }
    for (i : 0 .. NR - 1) { run Reader(i) }
    i = 0; run Broker()
  };
  if :: gone[0] = 1 :: gone[0] = 2 :: skip fi
}
