import type { LeasedCall, Outcome } from '../../core/model/call.ts';
import type { Command, CommandResult } from '../../core/model/command.ts';
import type { Bindings } from '../bindings.ts';
import { makeCall } from '../dispatcher/make-call.ts';
import { isTooLarge, pack, type Packed, unpack } from '../large/packed.ts';

/** Has leased calls made and brings their outcomes back as reports. */
export class Dispatches {
  readonly #env: Bindings;
  readonly #environment: string;
  #report: (command: Command, patient?: boolean) => Promise<CommandResult[]>;

  constructor(
    env: Bindings,
    environment: string,
    report: (command: Command, patient?: boolean) => Promise<CommandResult[]>,
  ) {
    this.#env = env;
    this.#environment = environment;
    this.#report = report;
  }

  send(calls: LeasedCall[]): void {
    for (const call of calls) void this.#send(call);
  }

  async #send(call: LeasedCall): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = await dispatchCall(this.#env, this.#environment, call);
    } catch (error) {
      // It could not be made: the app may not have been reached at all.
      const message = `The call could not be made: ${error instanceof Error ? error.message : String(error)}`;
      outcome = { ops: [{ op: 'fail', error: JSON.stringify({ name: 'Error', message }), retry: 'policy' }] };
    }
    try {
      const { patient, ...told } = outcome;
      await this.#report({ type: 'report', run: call.run, lease: call.lease, outcome: told, final: true }, patient);
    } catch (error) {
      // An outcome that the engine refuses is a fault of the translation: the run must not hang on it.
      console.error('outcome refused:', error);
      const message = `The answer could not be applied: ${error instanceof Error ? error.message : String(error)}`;
      await this.#report({
        type: 'report',
        run: call.run,
        lease: call.lease,
        outcome: { ops: [{ op: 'fail', error: JSON.stringify({ name: 'Error', message }), retry: 'policy' }] },
        final: true,
      }).catch((again: unknown) => console.error('report failed, the lease will lapse:', again));
    }
  }
}

/**
 * Makes one call: in the Dispatcher, whatever its size and that of its outcome; where none is bound, here. An object of the platform has six
 * connections at most that wait for an answer, so there a Dispatcher is bound. The local runtime has no such bound and runs both on one
 * thread: the RPC between them was a third of the server's work for a call (bench: throughput, checkpointing off).
 */
export async function dispatchCall(env: Bindings, environment: string, call: LeasedCall): Promise<Outcome> {
  const { DISPATCHER: dispatcher } = env;
  if (!dispatcher) return makeCall(env, environment, call);
  let answer: Outcome | Packed;
  try {
    answer = (await dispatcher.dispatch(environment, call)) as Outcome | Packed;
  } catch (error) {
    // Refused for its size before it was sent: nobody has been called.
    if (!isTooLarge(error)) throw error;
    answer = (await dispatcher.dispatchPacked(environment, pack(call))) as Outcome | Packed;
  }
  return answer instanceof ReadableStream ? unpack<Outcome>(answer) : answer;
}
