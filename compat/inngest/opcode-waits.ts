import { compileExpression } from '../../core/events/expression/index.ts';
import type { Op } from '../../core/model/call.ts';
import { MAX_WAIT_MS, parseMoment } from './duration.ts';
import { invokedEvent } from './events.ts';
import { invalidExpression } from './limits.ts';
import { newEventId } from './ids.ts';
import { readFunctionData } from './function-data.ts';
import { taskIdOf, tokenOf } from './names.ts';
import { EVENT_INPUT_META } from './run-meta.ts';
import { metaOf, nameOf, optionOf, Refusal, textOf, textOption } from './opcode.ts';
import type { Opcode, OpcodeContext } from './opcode.ts';

/** An invocation without a timeout waits for a year. */
const INVOKE_TIMEOUT = '365d';

export function sleep(opcode: Opcode, context: OpcodeContext): Op | Refusal {
  const text = textOption(opcode, 'duration') ?? textOf(opcode.name) ?? '';
  const untilMs = parseMoment(text, context.reply.nowMs);
  if (untilMs === null)
    return new Refusal(
      'Error',
      `step "${nameOf(opcode)}" sleeps for "${text}", which is neither a duration nor a date`,
    );
  if (untilMs - context.reply.nowMs > MAX_WAIT_MS) return tooLong(opcode);
  return { op: 'sleep', key: opcode.id, untilMs, meta: metaOf(opcode, context), again: context.again };
}

export function waitForEvent(opcode: Opcode, context: OpcodeContext): Op | Refusal {
  // The Go SDK sends an empty option when the name is given otherwise.
  const name = textOption(opcode, 'event') || textOf(opcode.name);
  if (!name) return new Refusal('Error', `step "${nameOf(opcode)}" waits for an event without a name`);
  const untilMs = timeoutOf(opcode, context.reply.nowMs, '');
  if (untilMs instanceof Refusal) return untilMs;
  const expression = textOption(opcode, 'if');
  const compiled = expression ? compileExpression(expression) : null;
  if (expression && compiled && !compiled.ok)
    return Refusal.of(
      invalidExpression(
        strictComparison(expression, compiled.error.message) ??
          `step "${nameOf(opcode)}": "${expression}": ${compiled.error.message}`,
      ),
    );
  return {
    op: 'wait-event',
    key: opcode.id,
    name,
    untilMs,
    meta: metaOf(opcode, context, expression ? { x: expression } : {}),
    again: context.again,
    ...(expression ? { expression } : {}),
  };
}

/** JavaScript's `===`, the mistake of this language's newcomers, is told in the words of the vendor's parser: where, and what it did not know. */
function strictComparison(expression: string, why: string): string | null {
  const at = why.endsWith(': =') && !expression.includes('\n') ? /[=!]==/.exec(expression) : null;
  if (!at) return null;
  const index = at.index + 2;
  // Its lexer looks one character ahead.
  const unknown = expression.slice(index, index + 2);
  const place = `<input>:1:${index + 1}`;
  return `ERROR: ${place}: Syntax error: token recognition error at: '${unknown}'\n | ${expression}\n | ${'.'.repeat(index)}^`;
}

export function invoke(opcode: Opcode, context: OpcodeContext): Op | Refusal {
  const { call, reply } = context;
  const slug = textOption(opcode, 'function_id');
  if (!slug) return new Refusal('Error', `step "${nameOf(opcode)}" invokes a function without an id`);
  const untilMs = timeoutOf(opcode, reply.nowMs, INVOKE_TIMEOUT);
  if (untilMs instanceof Refusal) return untilMs;
  const caller = readFunctionData(call.task.data);
  const source = {
    correlation_id: `${call.run}.${opcode.id}`,
    expire: untilMs,
    fn_id: slug,
    name: '',
    source_app_id: caller.appId,
    source_fn_id: caller.id,
    source_fn_v: call.task.version,
  };
  const event = newEventId(reply.nowMs);
  const input = invokedEvent(optionOf(opcode, 'payload'), source, reply.nowMs, event);
  return {
    op: 'wait-run',
    key: opcode.id,
    untilMs,
    meta: metaOf(opcode, context, { f: slug, e: event }),
    again: context.again,
    start: { task: taskIdOf(slug), input, meta: EVENT_INPUT_META },
  };
}

export function waitForSignal(opcode: Opcode, context: OpcodeContext): Op | Refusal {
  const signal = textOption(opcode, 'signal');
  if (!signal) return new Refusal('Error', `step "${nameOf(opcode)}" waits for a signal without a name`);
  const untilMs = timeoutOf(opcode, context.reply.nowMs, '');
  if (untilMs instanceof Refusal) return untilMs;
  return {
    op: 'wait-token',
    key: opcode.id,
    token: tokenOf(signal),
    exclusive: textOption(opcode, 'conflict') === 'replace' ? 'replace' : 'fail',
    untilMs,
    meta: metaOf(opcode, context, { s: signal }),
    again: context.again,
  };
}

function timeoutOf(opcode: Opcode, nowMs: number, absent: string): number | Refusal {
  const text = textOption(opcode, 'timeout') ?? absent;
  const untilMs = parseMoment(text, nowMs);
  if (untilMs === null)
    return new Refusal(
      'Error',
      `step "${nameOf(opcode)}" has the timeout "${text}", which is neither a duration nor a date`,
    );
  return untilMs - nowMs > MAX_WAIT_MS ? tooLong(opcode) : untilMs;
}

function tooLong(opcode: Opcode): Refusal {
  return new Refusal('Error', `step "${nameOf(opcode)}" waits for more than 366 days`);
}
