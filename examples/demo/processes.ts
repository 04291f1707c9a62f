import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** The last lines of what it printed. */
  output(): string;
  /** Resolves when a line of its output matches. Rejects when it ends first, or after `timeoutMs`. */
  says(pattern: RegExp, timeoutMs: number): Promise<void>;
  /** SIGTERM to its process group, SIGKILL after a grace period. */
  stop(): Promise<void>;
}

const GRACE_MS = 3_000;
const OUTPUT_CHARS = 20_000;

/** Starts a command in a process group of its own, so that its children can be ended with it. */
export function startChild(
  name: string,
  command: string,
  args: string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Child {
  const child: ChildProcess = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let ended = false;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve())).then(() => {
    ended = true;
  });
  child.on('error', (error) => {
    output += `${error.message}\n`;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS);
    });
  }
  return {
    name,
    get pid() {
      return child.pid ?? -1;
    },
    output: () => output,
    async says(pattern, timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      while (!pattern.test(output)) {
        if (ended) throw new Error(`${name} ended before it was ready:\n${output}`);
        if (performance.now() > deadline) throw new Error(`${name} was not ready after ${timeoutMs} ms:\n${output}`);
        await delay(20);
      }
    },
    async stop() {
      if (child.pid === undefined || ended) return;
      signalGroup(child.pid, 'SIGTERM');
      await Promise.race([closed, delay(GRACE_MS, undefined, { ref: false })]);
      // Children of the group may outlive its leader.
      signalGroup(child.pid, 'SIGKILL');
      await Promise.race([closed, delay(GRACE_MS, undefined, { ref: false })]);
    },
  };
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // The whole group has ended.
  }
}
