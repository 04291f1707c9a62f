import type { ErrorCode } from '../core/model/errors.ts';

export interface ErrorNote {
  meaning: string;
  mend: string;
}

/** What docs/errors.md says about each code of core/model/errors.ts, in the order of its sections. */
export const ERROR_NOTES: Record<ErrorCode, ErrorNote> = {
  'bad-request': {
    meaning: 'The request cannot be read, or says something that the engine does not take.',
    mend: 'Compare the request with what the message names. Nothing was changed.',
  },
  'unknown-task': {
    meaning:
      'No task (function, workflow, destination) of this id is registered: its app or worker has not registered yet, or no longer lists it.',
    mend: 'Start the app or the worker and let it register, then send again. Check that it talks to this server: `GET /health`.',
  },
  'unknown-run': {
    meaning: 'No run has this id or name. Ended runs are deleted after 30 days.',
    mend: 'Check the id, and that it came from this server and this data directory.',
  },
  'unknown-step': {
    meaning: 'The run has no step of this key, so it cannot be started anew from there.',
    mend: 'Read the run: its steps are listed with their keys.',
  },
  'unknown-schedule': {
    meaning: 'No schedule has this id.',
    mend: 'List the schedules; one-off schedules and those of a removed task are gone.',
  },
  'unknown-dead-letter': {
    meaning: 'No dead letter has this id, or its run was deleted. A letter that was retried is gone.',
    mend: 'List the dead letters. If it was retried, look for the run that the retry answered.',
  },
  'run-ended': {
    meaning: 'The run has ended, so it takes no more steps, waits or labels, and cannot be cancelled.',
    mend: 'Nothing to mend for a worker that was late. Otherwise start a new run.',
  },
  'stale-lease': {
    meaning:
      'Somebody reports on a call that is no longer its own: it ran too long, or the server was started again and made the call anew.',
    mend: 'Let the newer attempt go on. If it happens often, send heartbeats, or make the steps shorter than the lease.',
  },
  'payload-too-large': {
    meaning:
      'A body, an event or a result is larger than the vendor or this server allows. The message names the bound.',
    mend: 'Keep the data elsewhere and send a reference.',
  },
  'too-many': {
    meaning: 'One request holds more items than are taken at once.',
    mend: 'Send it in parts.',
  },
  'bad-expression': {
    meaning: 'An expression (of a trigger, a wait or a key) cannot be parsed. The message shows it.',
    mend: 'Mend the expression where it is written; for a running run, its code.',
  },
  'bad-cron': {
    meaning: 'A cron or its time zone cannot be understood, or has no coming time.',
    mend: 'Five fields and an IANA zone such as `Europe/Berlin`.',
  },
  'signal-conflict': {
    meaning: 'A run wants to be the only one that waits for a token, and another one waits already.',
    mend: 'Use a token for each run, or let the newer wait replace the older.',
  },
  unserved: {
    meaning: 'The vendor has this feature, this server does not have it yet. Nothing was changed.',
    mend: 'See MIGRATION.md for what is served. Trying again does not help.',
  },
  overloaded: {
    meaning: 'The server has more to do than it can take at the moment.',
    mend: 'Try again after a pause that grows. What was refused was not kept.',
  },
  internal: {
    meaning: 'A fault of this server.',
    mend: 'The server log has the cause. Trying again may help; please report it with the log.',
  },
};
