#!/usr/bin/env node
// Plain JavaScript, so that any Node from 20 on runs it. The launcher itself is TypeScript, bundled on first use.
import { ensureBuilt, packageRoot } from '../src/launcher/build.mjs';

const { pathToFileURL } = await import('node:url');
try {
  const launcher = ensureBuilt('launcher');
  const { main } = await import(pathToFileURL(launcher['launcher.mjs']).href);
  await main({ argv: process.argv.slice(2), env: process.env, packageRoot, outputs: launcher, ensureBuilt });
} catch (error) {
  process.stderr.write(`repoint: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
