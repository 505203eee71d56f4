// Nobody there any more? Pure: times in, state out.

/** settings: idle_ms without a touch until the warning, warning_ms of countdown. */
export function idleState(now_ms, touched_ms, {idle_ms, warning_ms}) {
  const silent = now_ms - touched_ms;
  if (silent < idle_ms) return {phase: "active", seconds_left: null};
  const left = idle_ms + warning_ms - silent;
  if (left <= 0) return {phase: "over", seconds_left: 0};
  return {phase: "warning", seconds_left: Math.ceil(left / 1000)};
}

/** "?idle=5&warning=3" in seconds: for shows and tests. */
export function idleSettings(search, {idle_s = 75, warning_s = 20} = {}) {
  const asked = new URLSearchParams(search);
  const seconds = (name, fallback) => {
    const value = Number(asked.get(name));
    return value >= 1 && value <= 3600 ? value : fallback;
  };
  return {idle_ms: seconds("idle", idle_s) * 1000, warning_ms: seconds("warning", warning_s) * 1000};
}
