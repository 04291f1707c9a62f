import { describe, expect, test } from 'vitest';
import { eventsOfRun, trimBodies } from './workflow-events.ts';

const error = { error: '500 Internal Server Error', body: 'no', headers: {}, status: 500 };

function run(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    workflowRunId: 'wfr_1',
    workflowUrl: 'https://a.test/w',
    workflowState: 'RUN_STARTED',
    workflowRunCreatedAt: 100,
    label: 'one',
    labels: ['one'],
    steps: [
      { type: 'sequential', steps: [{ stepName: 'init', state: 'STEP_SUCCESS', createdAt: 100, out: 'x' }] },
      { type: 'sequential', steps: [{ stepId: 1, stepName: 'a', state: 'STEP_SUCCESS', createdAt: 150, out: '1' }] },
    ],
    ...changes,
  };
}

describe('events of a run', () => {
  test('a run that goes on: its start and its steps, newest first, each with the run', () => {
    const events = eventsOfRun(run());
    expect(events.map(({ time, state }) => [time, state])).toEqual([
      [150, 'STEP_SUCCESS'],
      [100, 'STEP_SUCCESS'],
      [100, 'RUN_STARTED'],
    ]);
    expect(events[0]).toEqual({
      time: 150,
      state: 'STEP_SUCCESS',
      workflowRunId: 'wfr_1',
      workflowUrl: 'https://a.test/w',
      workflowCreatedAt: 100,
      label: 'one',
      labels: ['one'],
      stepInfo: { stepId: 1, stepName: 'a', state: 'STEP_SUCCESS', createdAt: 150, out: '1' },
    });
  });

  test('every failed attempt is a retry, the last of a failed step its failure, and then the run has failed', () => {
    const failed = {
      messageId: 'm',
      state: 'STEP_FAILED',
      errors: [1, 2, 3].map((n) => ({ ...error, time: 200 + n })),
    };
    const events = eventsOfRun(
      run({
        workflowState: 'RUN_FAILED',
        workflowRunCompletedAt: 203,
        dlqId: 'd',
        steps: [{ type: 'next', steps: [failed] }],
      }),
    );
    expect(events.map(({ time, state }) => [time, state])).toEqual([
      [203, 'RUN_FAILED'],
      [203, 'STEP_FAILED'],
      [202, 'STEP_RETRY'],
      [201, 'STEP_RETRY'],
      [100, 'RUN_STARTED'],
    ]);
    expect(events[0]?.dlqId).toBe('d');
    expect(events[1]).toMatchObject({ error: error.error, responseStatus: 500, responseBody: 'no' });
  });

  test('a step that will be tried again says when', () => {
    const retrying = { messageId: 'm', state: 'STEP_RETRY', nextDeliveryTime: 900, errors: [{ ...error, time: 201 }] };
    const [event] = eventsOfRun(run({ steps: [{ type: 'next', steps: [retrying] }] }));
    expect(event).toMatchObject({ state: 'STEP_RETRY', nextDeliveryTime: 900 });
  });

  test('the start of an invoked run names who has invoked it, the end of a run its answer', () => {
    const events = eventsOfRun(
      run({
        workflowState: 'RUN_SUCCESS',
        workflowRunCompletedAt: 300,
        workflowRunResponse: '"x"',
        invoker: { workflowRunId: 'wfr_0', workflowUrl: 'https://a.test/p', workflowRunCreatedAt: 5 },
      }),
    );
    expect(events.at(-1)).toMatchObject({ invokerWorkflowRunId: 'wfr_0', invokerWorkflowCreatedAt: 5 });
    expect(events[0]).toMatchObject({ state: 'RUN_SUCCESS', workflowRunResponse: '"x"' });
  });
});

test('payloads of the log are cut at a character, or left out', () => {
  const shown = (): unknown => ({ stepName: 'longer', steps: [{ out: 'añb', callBody: 'xyz', n: 1 }] });
  expect(trimBodies(shown(), 2)).toEqual({ stepName: 'longer', steps: [{ out: 'a', callBody: 'xy', n: 1 }] });
  expect(trimBodies(shown(), 3)).toEqual({ stepName: 'longer', steps: [{ out: 'añ', callBody: 'xyz', n: 1 }] });
  expect(trimBodies(shown(), -1)).toEqual({ stepName: 'longer', steps: [{ n: 1 }] });
});
