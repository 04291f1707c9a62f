/** Bounds of the vendor's that a run can meet, and the errors by which it ends then (inngest/inngest: pkg/consts, pkg/execution/state errors). */

/** Operations of one answer, and steps of one run. */
export const MAX_STEPS = 1_000;
/** Result of one step, and input of one: 4 MiB. */
export const MAX_STEP_OUTPUT = 4 * 1_048_576;
/** Results of all steps of a run: 32 MiB. */
export const MAX_STATE = 32 * 1_048_576;
/** Of an app's answer: 8 MiB. */
export const MAX_RESPONSE_BYTES = 8 * 1_048_576;

export interface LimitError {
  error: string;
  name: string;
  message: string;
}

export function functionOverflowed(limit = MAX_STEPS): LimitError {
  return {
    error: 'function has too many steps',
    name: 'InngestErrFunctionOverflowed',
    message: `The function run exceeded the step limit of ${limit} steps.`,
  };
}

export function stateOverflowed(limit = MAX_STATE): LimitError {
  const message = `The function run exceeded the state size limit of ${limit} bytes.`;
  return { error: `InngestErrStateOverflowed: ${message}`, name: 'InngestErrStateOverflowed', message };
}

export function stepOutputTooLarge(step: string): LimitError {
  const message = `The result of step "${step}" is larger than ${MAX_STEP_OUTPUT} bytes.`;
  return { error: `InngestErrStepOutputTooLarge: ${message}`, name: 'InngestErrStepOutputTooLarge', message };
}

export function outputTooLarge(): LimitError {
  const message = `The app answered with more than ${MAX_RESPONSE_BYTES} bytes.`;
  return { error: `output_too_large: ${message}`, name: 'InngestErrOutputTooLarge', message };
}

export const STEP_OUTPUT_TOO_LARGE = `the answer is larger than ${MAX_STEP_OUTPUT} bytes`;
