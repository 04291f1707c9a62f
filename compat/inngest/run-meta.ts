import type { JsonText } from '../../core/model/payload.ts';

/** What is remembered of a run beside its input. Short names: it is written with every invocation. */
export interface RunMeta {
  /** Its input is an event's canonical text. */
  e?: 1;
  /** Its app began it, while serving a request: it is called by that request. */
  h?: 1;
  /** Inputs of steps that were edited for a rerun: hashed step id to a JSON array. */
  i?: Record<string, JsonText>;
}

/** The meta of a run whose input is an event, as nearly all have it that have any. */
export const EVENT_INPUT_META = '{"e":1}';

export const ENDPOINT_META = '{"e":1,"h":1}';

export function readRunMeta(text: JsonText | null): RunMeta {
  return text === null ? {} : (JSON.parse(text) as RunMeta);
}
