import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

export interface CommandResult {
  /** Null when it was ended by a signal or by the time limit. */
  code: number | null;
  output: string;
  durationMs: number;
  timedOut: boolean;
}

/** Quiet and offline: no metrics, no request for `cf` data. */
const QUIET = { CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG: 'warn' };

/**
 * Runs one command of the project in its root and collects its output.
 * A command past its time limit is ended with all the processes it started (they share its group).
 */
export function runCommand(
  command: readonly string[],
  options: { echo: boolean; timeoutMs: number; env?: Record<string, string> },
): Promise<CommandResult> {
  const startedAt = performance.now();
  const bin = path.join(root, 'node_modules/.bin');
  const child = spawn(command[0]!, command.slice(1), {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...QUIET, ...options.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ''}` },
  });
  let output = '';
  for (const [stream, target] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (options.echo) target.write(chunk);
    });
  }
  return new Promise((resolve) => {
    let timedOut = false;
    const endGroup = (signal: NodeJS.Signals): void => {
      try {
        process.kill(-child.pid!, signal);
      } catch {
        // The group has ended already.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      endGroup('SIGKILL');
    }, options.timeoutMs);
    const forward = (signal: NodeJS.Signals): void => endGroup(signal);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, forward);
    const finish = (code: number | null): void => {
      clearTimeout(timer);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
      resolve({ code, output, durationMs: performance.now() - startedAt, timedOut });
    };
    child.once('error', (error) => {
      output += `${error.message}\n`;
      finish(null);
    });
    child.once('close', finish);
  });
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
