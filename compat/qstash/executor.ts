import type { PushExecutor } from '../../core/ports.ts';
import { TASK_FAN_OUT, TASK_WORKFLOW } from './constants.ts';
import { toRequest } from './delivery.ts';
import { fanOut } from './fan-out.ts';
import { messageOutcome, messageRequest } from './message-delivery.ts';
import { parseMeta } from './meta.ts';
import { workflowOutcome, workflowRequest } from './workflow-delivery.ts';

export const qstashExecutor: PushExecutor = {
  async request(call, context) {
    const meta = parseMeta(call.meta);
    if (call.task.id === TASK_FAN_OUT) return { skip: fanOut(call, meta) };
    const delivery = call.task.id === TASK_WORKFLOW ? workflowRequest(call, meta) : messageRequest(call, meta);
    return delivery === null ? { skip: { ops: [] } } : toRequest(call, delivery, context);
  },

  async outcome(call, result) {
    const meta = parseMeta(call.meta);
    return call.task.id === TASK_WORKFLOW ? workflowOutcome(call, meta, result) : messageOutcome(call, meta, result);
  },
};
