"""Who dies, stops or visits where in a scene (scenes.py, kept_scenes.py), and what all scenes do."""
import signal
import time

from instance import TIMEOUT_S, Violation, is_stopped


class Cast:
    """The orders of one run: role -> environment for tests/support/crash_point.cpp."""

    def __init__(self, instance, role=None, environment=None, first=None, logs=None):
        self.instance, self.role, self.environment = instance, role, environment or {}
        self.logs = logs or {}
        self.first = first

    def env(self, role):
        env = {}
        if role in self.logs:
            env["MALLBOTS_CRASH_LOG"] = self.logs[role]
        if role == self.role:
            env.update(self.environment)
        return env

    def daemon_env(self):
        """With what must happen before: a death that makes the heir go the way to be tested."""
        env = self.env("daemon")
        if self.first:
            env["MALLBOTS_CRASH_FIRST"] = self.first
            env["MALLBOTS_CRASH_FIRST_ONCE"] = self.instance.flag("first")
        return env

    def codes(self, role, usual=(0,)):
        """How a client of that role may end."""
        return None if role == self.role else usual


def blame_if(wrong, what):
    if wrong:
        raise Violation(what)


def begin(instance, cast):
    instance.daemon_env = cast.daemon_env()
    instance.start()
    instance.create_topic()


def meanwhile(instance, process, name, resume=True):
    """Waits for a client that may stop: each time another one must go on, then it is resumed."""
    stops = 0
    end = time.monotonic() + TIMEOUT_S
    while process.poll() is None:
        instance.keep_up()
        if is_stopped(process):
            stops += 1
            other = f"{name}{stops}"
            instance.wait(instance.produce(other, 300), other)
            instance.check([other], exactly_once=[other])
            process.send_signal(signal.SIGCONT if resume else signal.SIGKILL)
        if time.monotonic() > end:
            raise Violation(f"{name} did not end")
        time.sleep(0.005)
    return [f"{name}{i + 1}" for i in range(stops)]


def same_after_restart(instance, names, before):
    instance.restart_all()
    if instance.check(names) != before:
        raise Violation("the log is another one after a restart")
