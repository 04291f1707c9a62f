import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Ends a program when this process is gone, however that ended: a shell waits on a pipe that only we hold open. For programs that do not look at
 * their standard input, the vendors' unmodified ones above all. `group`: the child leads a process group (`detached`), which ends as a whole.
 */
export function endWithUs(child: ChildProcess, { group = false } = {}): void {
  if (child.pid === undefined || process.platform === 'win32') return;
  const script = 'read -r _; kill -9 "$1" 2>/dev/null';
  const target = group ? -child.pid : child.pid;
  // In a group of its own: a signal to ours, as Ctrl-C sends one, must not end it first.
  const watchdog = spawn('/bin/sh', ['-c', script, 'conformance-watchdog', String(target)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => {});
  watchdog.stdin.on('error', () => {});
  watchdog.unref();
  child.once('exit', () => watchdog.kill('SIGKILL'));
}
