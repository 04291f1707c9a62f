/** One line of the workflow log without groups (Upstash documentation: workflow/openapi, WorkflowEvent). */
export interface WorkflowEvent {
  time: number;
  state: string;
  [field: string]: unknown;
}

interface ShownStep {
  state: string;
  createdAt?: number;
  errors?: Array<{ error: string; body: string; headers: unknown; status: number; time: number }>;
  nextDeliveryTime?: number;
  [field: string]: unknown;
}

/** The events of one run, newest first, made of what the log shows of it when it is grouped: both say the same. */
export function eventsOfRun(run: Record<string, unknown>): WorkflowEvent[] {
  const { label, labels, flowControlKey, workflowRunCallerIp, workflowRunId, workflowUrl } = run;
  const common = {
    workflowRunId,
    workflowUrl,
    workflowCreatedAt: run.workflowRunCreatedAt,
    ...(workflowRunCallerIp === undefined ? {} : { callerIp: workflowRunCallerIp }),
    ...(label === undefined ? {} : { label, labels }),
    ...(flowControlKey === undefined ? {} : { flowControlKey }),
  };
  const createdAt = run.workflowRunCreatedAt as number;
  const endedAt = run.workflowRunCompletedAt as number | undefined;
  const events: WorkflowEvent[] = [{ time: createdAt, state: 'RUN_STARTED', ...common, ...invoker(run.invoker) }];
  for (const { steps } of run.steps as Array<{ steps: ShownStep[] }>) {
    for (const { errors = [], ...stepInfo } of steps) {
      errors.forEach(({ time, error, status, body, headers }, i) => {
        const isLast = i === errors.length - 1;
        events.push({
          time,
          state: isLast && stepInfo.state === 'STEP_FAILED' ? 'STEP_FAILED' : 'STEP_RETRY',
          ...common,
          stepInfo,
          error,
          responseStatus: status,
          responseBody: body,
          responseHeaders: headers,
          ...(isLast && stepInfo.nextDeliveryTime !== undefined ? { nextDeliveryTime: stepInfo.nextDeliveryTime } : {}),
        });
      });
      if (errors.length > 0 && stepInfo.state !== 'STEP_SUCCESS' && stepInfo.state !== 'STEP_CANCELED') continue;
      const time = stepInfo.createdAt ?? endedAt ?? createdAt;
      events.push({ time, state: stepInfo.state, ...common, stepInfo });
    }
  }
  if (endedAt !== undefined)
    events.push({
      time: endedAt,
      state: run.workflowState as string,
      ...common,
      ...(run.workflowRunResponse === undefined ? {} : { workflowRunResponse: run.workflowRunResponse }),
      ...(run.dlqId === undefined ? {} : { dlqId: run.dlqId }),
    });
  // Stable: what happened in the same millisecond stays in its order.
  return events.sort((a, b) => a.time - b.time).reverse();
}

function invoker(of: unknown): Record<string, unknown> {
  if (of === undefined) return {};
  const { workflowRunId, workflowUrl, workflowRunCreatedAt } = of as Record<string, unknown>;
  return {
    invokerWorkflowRunId: workflowRunId,
    invokerWorkflowUrl: workflowUrl,
    invokerWorkflowCreatedAt: workflowRunCreatedAt,
  };
}

/** Fields that carry payloads. */
const BODIES = new Set([
  'out',
  'callBody',
  'callResponseBody',
  'invokedWorkflowRunBody',
  'workflowRunResponse',
  'failResponse',
  'responseBody',
  'body',
]);

/** `trimBody`: payloads of the log cut to so many bytes of UTF-8; -1 leaves them out. Changes `value` itself. */
export function trimBodies<T>(value: T, bytes: number): T {
  if (Array.isArray(value)) for (const item of value) trimBodies(item, bytes);
  else if (typeof value === 'object' && value !== null) {
    const fields = value as Record<string, unknown>;
    for (const [name, field] of Object.entries(fields)) {
      if (typeof field !== 'string' || !BODIES.has(name)) trimBodies(field, bytes);
      else if (bytes < 0) delete fields[name];
      else fields[name] = cut(field, bytes);
    }
  }
  return value;
}

function cut(text: string, bytes: number): string {
  const encoded = new TextEncoder().encode(text);
  if (encoded.byteLength <= bytes) return text;
  let end = bytes;
  // Never in the middle of a character.
  while (end > 0 && ((encoded[end] as number) & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(encoded.subarray(0, end));
}
