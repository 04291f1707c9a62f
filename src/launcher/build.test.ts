import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { packageRoot, untilFresh } from './build.mjs';

describe('a bundle', () => {
  it('is made again, with a pause, while its sources change', () => {
    const pause = vi.fn();
    const build = vi.fn<() => string | undefined>().mockReturnValueOnce(undefined).mockReturnValueOnce(undefined);
    build.mockReturnValue('bundle');
    expect(untilFresh(build, () => 'never', pause)).toBe('bundle');
    expect([build.mock.calls.length, pause.mock.calls.length]).toEqual([3, 2]);
  });

  it('is given up after a while, with the reason', () => {
    const build = vi.fn(() => undefined);
    expect(() =>
      untilFresh(
        build,
        () => 'package.json has changed',
        () => {},
      ),
    ).toThrow('package.json has changed');
    expect(build).toHaveBeenCalledTimes(5);
  });
});

describe('the first start', () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'repoint-build-'));
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('gets over a list of packages that is written while it bundles', () => {
    mkdirSync(path.join(root, 'node_modules'));
    mkdirSync(path.join(root, 'src/launcher'), { recursive: true });
    for (const name of ['esbuild', '@esbuild'])
      symlinkSync(path.join(packageRoot, 'node_modules', name), path.join(root, 'node_modules', name));
    cpSync(fileURLToPath(new URL('build.mjs', import.meta.url)), path.join(root, 'src/launcher/build.mjs'));
    writeFileSync(path.join(root, 'package.json'), '{"type":"module"}');
    writeFileSync(path.join(root, 'node_modules/.package-lock.json'), '{}');
    const source = path.join(root, 'src/worker.ts');
    writeFileSync(source, 'export default 1;');
    utimesSync(source, 1, 1);
    // The package manager writes its list twice more, beside the bundling.
    const script = `
      import { spawn } from 'node:child_process';
      import { ensureBuilt } from './src/launcher/build.mjs';
      const list = ${JSON.stringify(path.join(root, 'node_modules/.package-lock.json'))};
      const write = "const { writeFileSync } = require('node:fs'); let n = 0;" +
        "const timer = setInterval(() => { writeFileSync(process.argv[1], ' '.repeat(++n)); if (n === 40) clearInterval(timer); }, 20)";
      const writer = spawn(process.execPath, ['-e', write, list], { stdio: ['ignore', 'ignore', 'inherit'] });
      console.log(Object.keys(ensureBuilt('worker')).join());
      writer.kill();
    `;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root, encoding: 'utf8' });
    expect(`${child.stderr}${child.stdout}`).toBe('worker.js\n');
  }, 30_000);
});
