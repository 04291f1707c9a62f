#!/usr/bin/env node
// Plain JavaScript, so that any Node from 20 on runs it. The launcher itself is TypeScript, bundled on first use.
import { setFlagsFromString } from 'node:v8';
import { ensureBuilt, packageRoot } from '../src/launcher/build.mjs';

// It waits nearly all of its life: without the compilers' code in memory it is 8 MiB lighter (Node 24), and starts as fast.
for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug']) setFlagsFromString(flag);

const { pathToFileURL } = await import('node:url');
try {
  const launcher = ensureBuilt('launcher');
  const { main } = await import(pathToFileURL(launcher['launcher.mjs']).href);
  await main({ argv: process.argv.slice(2), env: process.env, packageRoot, outputs: launcher, ensureBuilt });
} catch (error) {
  process.stderr.write(`repoint: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
