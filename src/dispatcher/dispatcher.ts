import { WorkerEntrypoint } from 'cloudflare:workers';
import type { LeasedCall, Outcome } from '../../core/model/call.ts';
import type { Bindings } from '../bindings.ts';
import { isLarge, MESSAGE_BYTES, pack, type Packed, unpack } from '../large/packed.ts';
import { makeCall } from './make-call.ts';

/** Signs, sends, reads and decodes calls off the cell's thread. Stateless: a call that is lost here is made again by its cell. */
export class Dispatcher extends WorkerEntrypoint<Bindings> {
  /** An outcome that is too long for a message comes packed: the call has been made by then and must not be made again for it. */
  async dispatch(environment: string, call: LeasedCall): Promise<Outcome | Packed> {
    const outcome = await makeCall(this.env, environment, call);
    return isLarge(outcome, MESSAGE_BYTES) ? pack(outcome) : outcome;
  }

  async dispatchPacked(environment: string, call: Packed): Promise<Outcome | Packed> {
    return this.dispatch(environment, await unpack<LeasedCall>(call));
  }
}
