import type { LeasedCall, Outcome } from '../../core/model/call.ts';
import type { Command, CommandResult } from '../../core/model/command.ts';
import type { Bindings } from '../bindings.ts';
import { isTooLarge, pack, type Packed, unpack } from '../large/packed.ts';

/** Hands leased calls to the Dispatcher and brings their outcomes back as reports. */
export class Dispatches {
  #dispatcher: Bindings['DISPATCHER'];
  readonly #environment: string;
  #report: (command: Command) => Promise<CommandResult[]>;

  constructor(
    dispatcher: Bindings['DISPATCHER'],
    environment: string,
    report: (command: Command) => Promise<CommandResult[]>,
  ) {
    this.#dispatcher = dispatcher;
    this.#environment = environment;
    this.#report = report;
  }

  send(calls: LeasedCall[]): void {
    for (const call of calls) void this.#send(call);
  }

  async #send(call: LeasedCall): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = await dispatchCall(this.#dispatcher, this.#environment, call);
    } catch (error) {
      // The Dispatcher itself failed: the app may not have been reached at all.
      const message = `The call could not be made: ${error instanceof Error ? error.message : String(error)}`;
      outcome = { ops: [{ op: 'fail', error: JSON.stringify({ name: 'Error', message }), retry: 'policy' }] };
    }
    try {
      await this.#report({ type: 'report', run: call.run, lease: call.lease, outcome, final: true });
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

/** Makes one call in the Dispatcher, whatever its size and that of its outcome. */
export async function dispatchCall(
  dispatcher: Bindings['DISPATCHER'],
  environment: string,
  call: LeasedCall,
): Promise<Outcome> {
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
