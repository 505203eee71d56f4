/* Model 1b: the exclusive lease and its hand-over (shm/PROTOCOL.md section 3, exclusive producers).
   Lease number l is held by session HOLDER(l): 1, then 2, then 1 again, so that a stale holder and a new one may share a session id. Each holder
   writes NREC records in place and commits without acquire. Recycling of slots is model 1a's; here each generation has its own memory.
@group   commit/fence/roll/lease
@good    three-leases -DLEASES=3 -DSEALS=0
@good    seal         -DLEASES=2 -DSEALS=1
@full    both         -DLEASES=3 -DSEALS=1
@reject  retry-fenced-lost-lease   lease_exclusive      -DNO_RESTARTS -DREJECT_RETRY_LOST_LEASE
@reject  no-lease-re-read          lease_exclusive      -DNO_RESTARTS -DREJECT_NO_LEASE_REREAD
@reject  fence-before-holder       lease_exclusive      -DNO_RESTARTS -DREJECT_FENCE_BEFORE_HOLDER
@reject  lease-reuse-after-fence   committed_unchanged  -DREJECT_REUSE_AFTER_LIVE_FENCE */
#include "property.h"
#ifndef LEASES
#define LEASES 2
#endif
#ifndef SEALS
#define SEALS 1                       /* seals that are no hand-over (drain, damage): FENCED with the lease intact is retried */
#endif
#define NREC 2
#define CAP 2
#define NS (2 * LEASES + SEALS + 4)
#define HOLDER(l) (2 - (l & 1) == 1 -> 1 : 2)
PROPERTY(lease_exclusive)             /* after a later lease was granted or has committed, no commit of an earlier one */
PROPERTY(in_order)                    /* a holder's records are committed once and in its order */
PROPERTY(committed_unchanged)         /* bytes written in place stay what was committed */

typedef Slot { byte tail; bit sealed; byte owner; byte epoch; byte data[CAP]; byte was[CAP] };      /* W; data; ghost: what was committed */
Slot slot[NS];
byte lease = 1, granted = 1;          /* lease number on the board (with its holder); ghost and message: last one told to its holder */
byte last, last_record, ended, seals;
bool dead[3];
#define W_IS(n, t, s, o, e) (slot[n].tail == t && slot[n].sealed == s && slot[n].owner == o && slot[n].epoch == e)

proctype Holder(byte l) {
  byte me, n, t, e, done; bit lost;
  {
    me = HOLDER(l);
    granted >= l;
acquire:
    do
    :: n == NS -> goto out              /* UNREACHED: only rejected variants use up the slots */
    :: n < NS && slot[n].sealed -> n++
    :: n < NS && !slot[n].sealed && slot[n].owner == 0 ->
      atomic { t = slot[n].tail; e = slot[n].epoch };
      atomic { if :: W_IS(n, t, 0, 0, e) -> slot[n].owner = me; break :: else fi }
    :: n < NS && lease != l && (!lost || slot[n].owner) -> goto out                                           /* LeaseLost while waiting */
    od;
#ifndef REJECT_NO_LEASE_REREAD
    if
    :: lease != l && !lost -> atomic { if :: W_IS(n, t, 0, me, e) -> slot[n].owner = 0 :: else fi }; goto out
    :: else
    fi;
#endif
    do
    :: done == NREC -> goto out
    :: done < NREC && t == CAP -> atomic { if :: W_IS(n, t, 0, me, e) -> slot[n].owner = 0; slot[n].sealed = 1 :: else fi }; goto fenced
    :: done < NREC && t < CAP ->
      slot[n].data[t] = l * 8 + done;
      atomic {
        if
        :: W_IS(n, t, 0, me, e) ->
          PROP(lease_exclusive, last <= l && granted <= l);
          PROP(in_order, last < l || last_record < done + 1);
          slot[n].was[t] = l * 8 + done; last = l; done++; last_record = done; t++; slot[n].tail = t
        :: else -> goto fenced
        fi
      }
    od;
fenced:
#ifdef REJECT_RETRY_LOST_LEASE
    lost = 1; goto acquire;            /* as a shared producer would */
#else
    if :: lease == l -> goto acquire :: else fi;                                                    /* else LeaseLost, shown to the caller */
#endif
out: skip
  } unless { dead[me] };
  ended++
}

#ifdef NO_RESTARTS
#define MAYBE_RESTART skip
#else
#define MAYBE_RESTART if :: skip :: goto restart fi
#endif
proctype Broker() {
  byte n, t, e, x, to; bit given;
restart:
  atomic { to = lease; n = 0; t = 0; e = 0; x = 0 };                                                /* a restarted broker does the fences again */
  do
  :: atomic { granted < LEASES && to == granted -> to = granted + 1 };                              /* somebody asks, at any moment */
#ifndef REJECT_FENCE_BEFORE_HOLDER
    lease = to; MAYBE_RESTART
#endif
  :: to > granted ->                                                                                /* hand over: fence the old holder everywhere */
    n = 0;
    do
    :: n == NS -> break
    :: n < NS ->
      atomic { t = slot[n].tail; e = slot[n].epoch; x = slot[n].owner; if :: slot[n].sealed || x != HOLDER(granted) -> n++; x = 0 :: else fi };
      if
      :: x ->
        atomic {
          if
          :: W_IS(n, t, 0, x, e) ->
            slot[n].owner = 0; slot[n].epoch++;
#ifndef REJECT_REUSE_AFTER_LIVE_FENCE
            slot[n].sealed = !dead[x]
#endif
          :: else
          fi };
        MAYBE_RESTART
      :: else
      fi
    od;
    atomic { n = 0; t = 0; e = 0; x = 0; lease = to; granted = to }
  :: atomic { to == granted && seals < SEALS -> seals++;
      do :: n < NS - 1 && slot[n].sealed -> n++ :: else -> break od; slot[n].sealed = 1; slot[n].owner = 0; slot[n].epoch++; n = 0 }
  :: atomic { dead[slot[0].owner] || dead[slot[1].owner] || dead[slot[2].owner] || dead[slot[3].owner] || dead[slot[4].owner] || dead[slot[5].owner] ->
      for (n : 0 .. NS - 1) { if :: dead[slot[n].owner] -> slot[n].owner = 0; slot[n].epoch++ :: else fi }
      n = 0 }
  :: ended == LEASES -> break
  od;
  atomic { for (n : 0 .. NS - 1) { for (t : 0 .. CAP - 1) { if :: t < slot[n].tail -> PROP(committed_unchanged, slot[n].data[t] == slot[n].was[t]) :: else fi } } }
}

init {
  atomic { byte l = 1; run Broker(); do :: l <= LEASES -> run Holder(l); l++ :: else -> break od };
  if :: dead[1] = 1 :: dead[2] = 1 :: skip fi
}
