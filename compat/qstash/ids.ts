import { IdFactory, isId } from '../../core/model/ids.ts';

const MESSAGE = 'msg_';
const WORKFLOW_RUN = 'wfr_';

/** A message is a run; its public id carries the run's. */
export function messageIdOf(run: string): string {
  return MESSAGE + run;
}

/** The run behind a message id, or null for an id of another form. */
export function runOfMessage(messageId: string): string | null {
  const run = messageId.startsWith(MESSAGE) ? messageId.slice(MESSAGE.length) : '';
  return isId(run) ? run : null;
}

let factory: IdFactory | null = null;

/** Made on first use: workerd has no randomness before the first request. */
function newId(): string {
  factory ??= new IdFactory({ next: () => (crypto.getRandomValues(new Uint32Array(1))[0] as number) / 2 ** 32 }, 0);
  return factory.next(Date.now());
}

/** Id of a message inside a workflow run: answered before the engine has seen it. */
export function newMessageId(): string {
  return MESSAGE + newId();
}

/** Only these name runs of this wire: another vendor's run is never reached by its id. */
export function isWorkflowRunId(text: string): boolean {
  return text.startsWith(WORKFLOW_RUN);
}

export function newWorkflowRunId(): string {
  return WORKFLOW_RUN + newId();
}

export function newScheduleId(): string {
  return `scd_${newId()}`;
}

/** Sorts by age. */
export function newBulkActionId(): string {
  return `bulk_${newId()}`;
}

/** The call that delivers a message inside a run. Its key differs from the message's own, which names the memo. */
export function deliveryKey(messageId: string): string {
  return `d:${messageId}`;
}

/** The message that a call delivers; the main call delivers the run's first. */
export function deliveredMessage(key: string, run: string): string {
  return key.startsWith('d:') ? key.slice(2) : messageIdOf(run);
}
