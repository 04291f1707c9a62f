export type { CompileResult, Expression, ExpressionError, JsonValue } from './ast.ts';
export { type BindResult, bindEvent, type Equality, equalities, pathGet } from './bind.ts';
export { type CompileOptions, compileExpression } from './compile.ts';
export { evaluate, type EvaluateResult, type Inputs, isTrue } from './evaluate.ts';
export { isPlain } from './plain.ts';
