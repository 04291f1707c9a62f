import { compileExpression } from '../../core/events/expression/index.ts';
import { InngestError } from './errors.ts';
import type { FunctionConfig } from './schema.ts';

/** Throws InngestError 400 for an expression that cannot be read, with the field that has it. */
export function checkExpression(
  config: Pick<FunctionConfig, 'id'>,
  field: string,
  expression: string | null | undefined,
): void {
  if (!expression) return;
  const compiled = compileExpression(expression);
  if (!compiled.ok) throw invalid(config, `the expression of "${field}" is invalid: ${compiled.error.message}`);
}

/** The refusal of a registration: it names the function, `why` the field and the mend. */
export function invalid(config: Pick<FunctionConfig, 'id'>, why: string): InngestError {
  return new InngestError(400, 'invalid_function', `Function "${config.id}" is invalid: ${why}.`);
}
