/* Model 2: the publication line and a spinning reader (shm/PROTOCOL.md sections 2, 4).
   Producers commit in W and store P later, when others have committed, sealed, or the slot has been recycled in place under a new generation; a
   producer may die in between. The reader pins its slot (model 3), polls P, and re-reads W every 128 polls and when P's generation is foreign. Each
   guard of the reader is a change it can see, so where nothing moves any more the spinner stands still: what it has not read then, it never will.
@group   publication + read
@good    one-a-slot      -DNREC=2 -DCAP=1
@good    two-a-slot      -DNREC=3 -DCAP=2
@full    four-records    -DNREC=4 -DCAP=2 -DSEALS=2
@full    three-producers -DNP=3 -DNREC=2 -DCAP=2
@reject  spinner-without-re-read   all_seen             -DREJECT_NO_REREAD
@reject  p-without-generation      committed_only       -DREJECT_P_WITHOUT_GENERATION
@reject  roll-on-stale-end         all_seen             -DREJECT_ROLL_AT_SEEN_END
@reject  p-before-commit           p_was_committed      -DREJECT_P_BEFORE_COMMIT */
#include "property.h"
#ifndef NP
#define NP 2
#endif
#ifndef NREC
#define NREC 2
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef SEALS
#define SEALS 1                       /* seals by the broker, which may die before its P */
#endif
#define K 2
PROPERTY(committed_only)              /* the reader never goes beyond the committed tail of its generation */
PROPERTY(p_was_committed)             /* every value in P was a committed tail of the generation it names, and final where it says sealed */
PROPERTY(all_seen)                    /* every committed record and every roll is seen with no further append */
PROPERTY(read_in_order)               /* what is read is the log, record by record, none left out */

typedef Mem { byte gen; byte tail; bit sealed; byte pgen; byte ptail; bit psealed; byte data[CAP] };
Mem mem[K];                           /* line 4; W; P; records. Slot n lives in mem[n % K], recycled in place */
byte newest = 1, reader_n;            /* the board: newest READY generation; the pin */
byte committed, ended, seals;
bool dead[NP + 1];

inline store_p(n, s, t) { atomic { mem[n % K].pgen = n; mem[n % K].psealed = s; mem[n % K].ptail = t; s = 0; t = 0 } }

proctype Producer(byte me) {
  byte n, t, left; bit s;
  {
    left = NREC;
    do
    :: left == 0 && !s -> break
    :: left && (mem[n % K].gen != n || mem[n % K].sealed) -> newest > n; n++                       /* room: wait for READY */
    :: left && mem[n % K].gen == n && !mem[n % K].sealed ->
#ifdef REJECT_P_BEFORE_COMMIT
      atomic { t = mem[n % K].tail + 1; if :: t > CAP -> t = 0 :: else fi }; if :: t -> store_p(n, s, t) :: else fi;
#endif
      atomic {                                                                                     /* the section as one step (model 1a) */
        if
        :: mem[n % K].gen != n || mem[n % K].sealed -> t = 0; s = 0
        :: else ->
          t = mem[n % K].tail;
          if
          :: t == CAP -> mem[n % K].sealed = 1; s = 1
          :: else -> mem[n % K].data[t] = committed; t++; mem[n % K].tail = t; committed++; left--
          fi
        fi };
      if :: t -> store_p(n, s, t) :: else fi                                                       /* P, as late as may be */
    od
  } unless { dead[me] };
  ended++
}

proctype Broker() {
  byte n, t; bit s;
end:
  do
  :: atomic { mem[newest % K].gen == newest && seals < SEALS && mem[newest % K].tail && !mem[newest % K].sealed ->   /* fence, drain, damage */
      seals++; mem[newest % K].sealed = 1; s = 1; n = newest; t = mem[newest % K].tail };
      if :: store_p(n, s, t) :: s = 0; t = 0 fi
  :: mem[(newest + 1) % K].sealed && reader_n >= newest && mem[newest % K].sealed ->               /* recycle lazily; line 4, P, W last */
    n = newest + 1; mem[n % K].gen = n;
    s = 0; t = 0; store_p(n, s, t);
    atomic { mem[n % K].tail = 0; mem[n % K].sealed = 0 };
    newest = n
  od
}

#define W_NEWS (mem[n % K].tail > seen || (mem[n % K].sealed && !end))
inline look_w() { atomic { seen = mem[n % K].tail; end = mem[n % K].sealed } }
proctype Reader() {
  byte n, pos, seen, got; bit end;
  do
  :: pos < seen -> atomic {
      PROP(committed_only, pos < mem[n % K].tail);
      PROP(read_in_order, mem[n % K].data[pos] == got);
      pos++; got++ }
#ifdef REJECT_P_WITHOUT_GENERATION
  :: atomic { mem[n % K].ptail > seen || (mem[n % K].psealed && !end) ->
#else
  :: atomic { mem[n % K].pgen == n && (mem[n % K].ptail > seen || (mem[n % K].psealed && !end)) ->
      PROP(p_was_committed, mem[n % K].ptail <= mem[n % K].tail && (!mem[n % K].psealed || mem[n % K].ptail == mem[n % K].tail));
#endif
      if :: mem[n % K].ptail > seen -> seen = mem[n % K].ptail :: else fi; if :: mem[n % K].psealed -> end = 1 :: else fi }
  :: mem[n % K].pgen != n && W_NEWS -> look_w()                                                    /* a foreign generation in P */
#ifndef REJECT_NO_REREAD
  :: W_NEWS -> look_w()                                                                            /* 128 polls */
#endif
#ifdef REJECT_ROLL_AT_SEEN_END
  :: atomic { mem[n % K].sealed && pos == seen && newest > n -> n++; pos = 0; seen = 0; end = 0; reader_n = n }
#else
  :: atomic { end && pos == seen && newest > n -> n++; pos = 0; seen = 0; end = 0; reader_n = n }
#endif
  :: timeout -> atomic { PROP(all_seen, got == committed && (n == newest || !mem[n % K].sealed)); break }
  od
}

init {
  byte i;
  atomic { mem[1].gen = 1; mem[1].pgen = 1; i = 1; run Broker(); run Reader(); do :: i <= NP -> run Producer(i); i++ :: else -> break od; i = 0 };
  if :: dead[1] = 1 :: skip fi
}
