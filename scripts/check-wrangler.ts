// The same Worker under Cloudflare's own tool: it can be deployed, and `wrangler dev` serves it. Not part of `npm test`,
// because it needs seconds and hundreds of megabytes to say what wrangler.jsonc and its test say otherwise.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root, runCommand, seconds } from './run-command.ts';

const USAGE = `Usage: npm run check:wrangler

  deploy   wrangler deploy --dry-run
  dev      wrangler dev answers GET /health
`;
const DEPLOY_LIMIT_MS = 2 * 60 * 1000;
const READY_LIMIT_MS = 60 * 1000;
const POLL_MS = 100;
const WRANGLER = path.join(root, 'node_modules/wrangler/bin/wrangler.js');

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
if (values.help) {
  process.stdout.write(USAGE);
} else {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'repoint-wrangler-'));
  try {
    const failed = Number(!(await canDeploy(directory))) + Number(!(await serves(directory)));
    console.log(`${2 - failed} passed, ${failed} failed`);
    process.exitCode = failed > 0 ? 1 : 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function canDeploy(directory: string): Promise<boolean> {
  const result = await runCommand([process.execPath, WRANGLER, 'deploy', '--dry-run', '--outdir', directory], {
    echo: false,
    timeoutMs: DEPLOY_LIMIT_MS,
  });
  console.log(`${result.code === 0 ? 'ok    ' : 'FAILED'} deploy --dry-run (${seconds(result.durationMs)})`);
  if (result.code !== 0) console.log(result.output);
  return result.code === 0;
}

async function serves(directory: string): Promise<boolean> {
  const port = await freePort();
  const startedAt = performance.now();
  const args = ['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0', '--persist-to', directory];
  const child = spawn(process.execPath, [WRANGLER, ...args, '--show-interactive-dev-session=false'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_SEND_METRICS: 'false', CI: '1' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let status: number | undefined;
  while (status !== 200 && child.exitCode === null && performance.now() - startedAt < READY_LIMIT_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    status = await fetch(`http://127.0.0.1:${port}/health`).then(
      (response) => response.status,
      () => undefined,
    );
  }
  console.log(`${status === 200 ? 'ok    ' : 'FAILED'} dev (${seconds(performance.now() - startedAt)})`);
  if (status !== 200) console.log(output);
  if (child.exitCode === null) process.kill(-child.pid!, 'SIGTERM');
  await exited;
  return status === 200;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
