import { WorkerEntrypoint } from 'cloudflare:workers';
import type { LeasedCall, Outcome } from '../../core/model/call.ts';
import type { Bindings } from '../bindings.ts';
import { contextOf } from '../context.ts';
import { EXECUTORS } from '../vendors.ts';
import { refusal } from './destination.ts';
import { send } from './send.ts';

/** Signs, sends, reads and decodes calls off the cell's thread. Stateless: a call that is lost here is made again by its cell. */
export class Dispatcher extends WorkerEntrypoint<Bindings> {
  async dispatch(call: LeasedCall): Promise<Outcome> {
    const context = contextOf(this.env);
    const executor = EXECUTORS[call.task.executor];
    if (!executor) throw new Error(`no executor "${call.task.executor}"`);
    const request = await executor.request(call, context);
    if ('skip' in request) return request.skip;
    const refused = refusal(request.url, context.mode, context.vars.REPOINT_ALLOW_PRIVATE === '1');
    const result =
      refused === null
        ? await send(request)
        : ({ ok: false, code: 'refused-destination', message: refused, durationMs: 0 } as const);
    return executor.outcome(call, result, context);
  }
}
