import type { JsonText } from '../../core/model/payload.ts';

/** What is remembered of an operation beside its result. Short names: it is written with every step. */
export interface StepMeta {
  /** Opcode, when it is not StepRun. */
  o?: string;
  /** Name shown to people. */
  n?: string;
  /** Request version that the SDK answered with; none for a checkpointed step. */
  v?: number;
  /** Reported in a group, where version 1 goes on planning for the rest of the run. */
  p?: 1;
  /** Composite id of the function that is invoked. */
  f?: string;
  /** Signal's name. */
  s?: string;
  /** Of an error that the discovery call reported: the step that failed. */
  k?: string;
  /** Condition of a wait for an event, as it was written. */
  x?: string;
  /** Id of the event with which a function is invoked. */
  e?: string;
}

export function writeMeta(meta: StepMeta): JsonText {
  return JSON.stringify(meta);
}

export function readMeta(text: JsonText | null): StepMeta {
  return text === null ? {} : (JSON.parse(text) as StepMeta);
}
