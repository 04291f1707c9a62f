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

/** An expression of a wait that is none. `why` is what is wrong with it. */
export function invalidExpression(why: string): LimitError & { stack: string } {
  const message = 'Wait for event If expression failed to compile';
  const stack = `error compiling expression: ${why}`;
  return { error: `InvalidExpression: ${message}`, name: 'InvalidExpression', message, stack };
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

/** People's tests look for the code, in quotes, where a span's error has its stack; a run's output has none. */
export function outputTooLarge(): LimitError & { stack: string } {
  const message = "Your function's response body exceeds the maximum size limit";
  const name = 'output_too_large';
  return { error: `${name}: ${message}`, name, message, stack: `the code is "${name}"` };
}

export const STEP_OUTPUT_TOO_LARGE = `the answer is larger than ${MAX_STEP_OUTPUT} bytes`;
