import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const READY = /ready on (http:\/\/\S+)/;
const PACK_MS = 60_000;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'repoint-package-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it(
  'starts from the package as it is packed, with its dependencies and nothing else',
  async () => {
    const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT }).toString();
    execFileSync('tar', ['-xzf', path.join(folder, packed.trim().split('\n').at(-1) as string), '-C', folder]);
    mkdirSync(path.join(folder, 'node_modules'));
    for (const name of ['workerd', '@cloudflare'])
      symlinkSync(path.join(ROOT, 'node_modules', name), path.join(folder, 'node_modules', name));

    const bin = path.join(folder, 'package/bin/repoint.mjs');
    const child = spawn(process.execPath, [bin, 'dev', '--port', '0', '--data', path.join(folder, 'data')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      let said = '';
      const url = await new Promise<string>((resolve, reject) => {
        const hear = (chunk: Buffer): void => {
          said += chunk.toString();
          const ready = READY.exec(said);
          if (ready) resolve(ready[1] as string);
        };
        child.stdout.on('data', hear);
        child.stderr.on('data', hear);
        child.once('exit', () => reject(new Error(said)));
      });
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'ok', mode: 'dev' });
    } finally {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
  },
  PACK_MS,
);
