import { WorkflowMiddleware } from '@upstash/workflow';
import { journal } from '../journal.ts';

const started = new Map<string, { step: string; at: number }>();

/** Notes every step that really runs, and how long it took. The attempt is the delivery's. */
export const observe = new WorkflowMiddleware({
  name: 'observe',
  callbacks: {
    runStarted: ({ context }) =>
      journal({ vendor: 'upstash', run: context.workflowRunId, step: 'run', phase: 'start', attempt: 1 }),
    runCompleted: ({ context }) =>
      journal({ vendor: 'upstash', run: context.workflowRunId, step: 'run', phase: 'done', attempt: 1 }),
    beforeExecution: ({ context, stepName }) => {
      started.set(context.workflowRunId, { step: stepName, at: performance.now() });
      journal({
        vendor: 'upstash',
        run: context.workflowRunId,
        step: stepName,
        phase: 'start',
        attempt: (context.retried ?? 0) + 1,
      });
    },
    afterExecution: ({ context, stepName }) => {
      const begun = started.get(context.workflowRunId);
      journal({
        vendor: 'upstash',
        run: context.workflowRunId,
        step: stepName,
        phase: 'done',
        attempt: (context.retried ?? 0) + 1,
        durationMs: begun?.step === stepName ? performance.now() - begun.at : undefined,
      });
    },
    onError: ({ workflowRunId = '', error }) => {
      const begun = started.get(workflowRunId);
      journal({
        vendor: 'upstash',
        run: workflowRunId,
        step: begun?.step ?? 'run',
        phase: 'failed',
        attempt: 1,
        durationMs: begun && performance.now() - begun.at,
        message: error.message,
      });
    },
  },
});
