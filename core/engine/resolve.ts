import type { EndedRef, StepSource } from '../model/call.ts';
import type { JsonText, Payload } from '../model/payload.ts';
import type { Kernel } from './kernel.ts';

export interface Resolution {
  source: StepSource;
  data: Payload | null;
  error?: boolean;
  from?: EndedRef;
  meta?: JsonText;
}

/** Ends a wait of a run: the result is memoised under its key and what follows becomes due. False when nothing waits there. */
export function resolve(k: Kernel, run: string, key: string, resolution: Resolution): boolean {
  const handle = k.find(run);
  const pending = handle?.state.pending.get(key);
  if (!handle || handle.state.status !== 'running' || !pending || pending.kind === 'call') return false;
  k.append(
    handle,
    {
      kind: 'step',
      key,
      source: resolution.source,
      ...(resolution.error ? { error: true } : {}),
      ...(resolution.from ? { from: resolution.from } : {}),
      ...(resolution.meta === undefined ? {} : { meta: resolution.meta }),
    },
    resolution.data,
  );
  return true;
}
