import { WorkflowMiddleware } from '@upstash/workflow';
import { journal } from '../journal.ts';

interface Begun {
  step: string;
  attempt: number;
  at: number;
}

/** By run and step, and by run alone: the one begun last. */
const begun = new Map<string, Begun>();

function note(run: string, phase: 'done' | 'failed', { step, attempt, at }: Begun, message?: string): void {
  journal({ vendor: 'upstash', run, step, phase, attempt, durationMs: performance.now() - at, message });
}

/** Notes every step that really runs, its attempt and how long it took. A step is done when the next call shows its result. */
export const observe = new WorkflowMiddleware({
  name: 'observe',
  callbacks: {
    beforeExecution: ({ context, stepName }) => {
      const run = context.workflowRunId;
      const entry = { step: stepName, attempt: context.retried + 1, at: performance.now() };
      begun.set(run, entry);
      begun.set(`${run} ${stepName}`, entry);
      journal({ vendor: 'upstash', run, step: stepName, phase: 'start', attempt: entry.attempt });
    },
    afterExecution: ({ context, stepName }) => {
      const entry = begun.get(`${context.workflowRunId} ${stepName}`);
      if (entry) note(context.workflowRunId, 'done', entry);
    },
    onError: ({ workflowRunId, error }) => {
      const entry = workflowRunId === undefined ? undefined : begun.get(workflowRunId);
      if (entry && workflowRunId) note(workflowRunId, 'failed', entry, error.message);
    },
    runStarted: ({ context }) =>
      journal({ vendor: 'upstash', run: context.workflowRunId, step: 'run', phase: 'start', attempt: 1 }),
    runCompleted: ({ context }) =>
      journal({ vendor: 'upstash', run: context.workflowRunId, step: 'run', phase: 'done', attempt: 1 }),
  },
});
