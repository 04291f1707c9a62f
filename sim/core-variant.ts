import { registerHooks } from 'node:module';
import type { Engine } from '../core/engine/engine.ts';

/** A change of one core file, as text. `find` must occur exactly once. */
export interface SourcePatch {
  /** Path within `core/`. */
  file: string;
  find: string | RegExp;
  replace: string;
}

export interface CoreVariant {
  Engine: typeof Engine;
}

/**
 * The engine's bounds made small, so that a world of a few hundred runs meets all of them: the caches forget, the ready queue
 * spills, payloads chunk, retention and timers go in many batches.
 */
export const TIGHT_IN_FLIGHT = 5;
export const TIGHT: readonly SourcePatch[] = [
  bound('TEXT_CHUNK_CHARS', 400),
  bound('BINARY_CHUNK_BYTES', 400),
  bound('READY_IN_MEMORY', 6),
  bound('MAX_IN_FLIGHT', TIGHT_IN_FLIGHT),
  bound('TIMERS_PER_TICK', 3),
  bound('MAX_LOOKED_AT', 3),
  bound('RETENTION_EVERY_MS', 600_000),
  bound('RETENTION_BATCH', 4),
  bound('CACHED_RUNS', 4),
  bound('CACHED_STATE_CHARS', 2_000),
];

function bound(name: string, value: number): SourcePatch {
  return {
    file: 'model/limits.ts',
    find: new RegExp(`(?<=export const ${name} = )[^;]+(?=;)`, 'g'),
    replace: String(value),
  };
}

const CORE = new URL('../core/', import.meta.url).href;
const variants = new Map<string, readonly SourcePatch[]>();
let hooked = false;

/** Applies patches to a file's source. Throws when one does not fit exactly once. */
export function patchSource(source: string, patches: readonly SourcePatch[]): string {
  for (const patch of patches) {
    const parts = source.split(patch.find);
    if (parts.length !== 2)
      throw new Error(
        `core/${patch.file}: the text to replace occurs ${parts.length - 1} times:\n${String(patch.find)}`,
      );
    source = parts.join(patch.replace);
  }
  return source;
}

/**
 * Loads the engine with patches applied to its source, beside any other variant in the same process: each is a module graph of its own,
 * told apart by the query of its modules' addresses.
 */
export async function loadCore(name: string, patches: readonly SourcePatch[]): Promise<CoreVariant> {
  hook();
  variants.set(name, patches);
  const address = new URL(`engine/engine.ts?variant=${encodeURIComponent(name)}`, CORE).href;
  return (await import(address)) as CoreVariant;
}

function hook(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const variant = context.parentURL?.startsWith(CORE) ? new URL(context.parentURL).search : '';
      return variant !== '' && resolved.url.startsWith(CORE) ? { ...resolved, url: resolved.url + variant } : resolved;
    },
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.startsWith(CORE)) return loaded;
      const { pathname, searchParams } = new URL(url);
      const patches = variants.get(searchParams.get('variant') ?? '');
      const mine = patches?.filter(({ file }) => pathname === new URL(file, CORE).pathname);
      if (!mine || mine.length === 0) return loaded;
      return { ...loaded, source: patchSource(String(loaded.source), mine) };
    },
  });
}
