import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';

const MODULE = new URL('./end-with-us.ts', import.meta.url).href;

/** Starts a program that would run for an hour, and prints its process id. */
const PARENT = `
  import { spawn } from 'node:child_process';
  const { endWithUs } = await import(${JSON.stringify(MODULE)});
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 3_600_000)'], { stdio: 'ignore', detached: true });
  endWithUs(child, { group: true });
  console.log(child.pid);
`;

test.skipIf(process.platform === 'win32')(
  'a program ends with the process that started it, even when that is killed',
  async () => {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    expect(process.kill(pid, 0)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), { timeout: 10_000, interval: 20 });
  },
);
