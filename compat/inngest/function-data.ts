import type { JsonText } from '../../core/model/payload.ts';

/** What a task remembers of the function it stands for: the opaque configuration of this executor. */
export interface FunctionData {
  /** Composite id, `<app>-<fn>`. */
  slug: string;
  /** UUID of the function and of its app, both made from their names. */
  id: string;
  app: string;
  appId: string;
  /** Where calls go; `stepId` is set anew for each. */
  url: string;
  crons: string[];
  /** Bounds of its runs that were set for tests (routes/limit-overrides.ts). */
  maxSteps?: number;
  maxStateBytes?: number;
  /** Some of them have a jitter. */
  jitter?: true;
}

let lastText: JsonText | undefined;
let lastData: FunctionData | undefined;

/** Calls of one function come in groups: the last text parsed is remembered. */
export function readFunctionData(text: JsonText): FunctionData {
  if (text !== lastText || lastData === undefined) {
    lastData = JSON.parse(text) as FunctionData;
    lastText = text;
  }
  return lastData;
}
