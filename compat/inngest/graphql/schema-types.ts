/** What the operations of schema.ts answer: the vendor's names and nullability. */
export const TYPES = /* GraphQL */ `
  type PageInfo {
    hasNextPage: Boolean!
    hasPreviousPage: Boolean!
    startCursor: String
    endCursor: String
  }

  type App {
    id: ID!
    externalID: String!
    name: String!
    sdkLanguage: String!
    sdkVersion: String!
    framework: String
    url: String
    checksum: String
    error: String
    functions: [Function!]!
    method: AppMethod!
    appVersion: String
    sdkFeatureReadiness: SDKFeatureReadiness!
    connected: Boolean!
    functionCount: Int!
    autodiscovered: Boolean!
  }

  type SDKFeatureReadiness {
    aiMetadataExtraction: SDKFeatureStatus
    extendedTraces: SDKFeatureStatus
  }
  type SDKFeatureStatus {
    ready: Boolean!
    reason: Int
  }

  type Function {
    id: String!
    name: String!
    slug: String!
    failureHandler: Function
    config: String!
    configuration: FunctionConfiguration!
    concurrency: Int!
    triggers: [FunctionTrigger!]
    url: String!
    appID: String!
    app: App!
  }
  type FunctionTrigger {
    type: FunctionTriggerTypes!
    value: String!
    condition: String
  }
  type FunctionConfiguration {
    cancellations: [CancellationConfiguration!]!
    retries: RetryConfiguration!
    priority: String
    eventsBatch: EventsBatchConfiguration
    concurrency: [ConcurrencyConfiguration!]!
    rateLimit: RateLimitConfiguration
    debounce: DebounceConfiguration
    throttle: ThrottleConfiguration
    singleton: SingletonConfiguration
  }
  type CancellationConfiguration {
    event: String!
    timeout: String
    condition: String
  }
  type RetryConfiguration {
    value: Int!
    isDefault: Boolean
  }
  type EventsBatchConfiguration {
    maxSize: Int!
    timeout: String!
    key: String
  }
  type ConcurrencyConfiguration {
    scope: ConcurrencyScope!
    limit: ConcurrencyLimitConfiguration!
    key: String
  }
  enum ConcurrencyScope {
    ACCOUNT
    ENVIRONMENT
    FUNCTION
  }
  type ConcurrencyLimitConfiguration {
    value: Int!
    isPlanLimit: Boolean
  }
  type RateLimitConfiguration {
    limit: Int!
    period: String!
    key: String
  }
  type DebounceConfiguration {
    period: String!
    key: String
  }
  type ThrottleConfiguration {
    burst: Int!
    key: String
    limit: Int!
    period: String!
  }
  type SingletonConfiguration {
    mode: SingletonMode!
    key: String
  }
  enum SingletonMode {
    SKIP
    CANCEL
  }

  type FunctionRun {
    id: ID!
    functionID: String!
    function: Function
    workspace: Workspace
    event: Event
    events: [Event!]!
    batchID: ULID
    batchCreatedAt: Time
    status: FunctionRunStatus
    waitingFor: StepEventWait
    pendingSteps: Int
    startedAt: Time
    finishedAt: Time
    output: String
    history: [RunHistoryItem!]!
    historyItemOutput(id: ULID!): String
    eventID: ID!
    cron: String
  }
  type Workspace {
    id: ID!
  }
  type StepEventWait {
    eventName: String
    expression: String
    expiryTime: Time!
  }
  enum HistoryType {
    FunctionCancelled
    FunctionCompleted
    FunctionFailed
    FunctionScheduled
    FunctionStarted
    FunctionStatusUpdated
    None
    StepCompleted
    StepErrored
    StepFailed
    StepScheduled
    StepSleeping
    StepStarted
    StepWaiting
  }
  enum HistoryStepType {
    Run
    Send
    Sleep
    Wait
  }
  type RunHistoryItem {
    attempt: Int!
    cancel: RunHistoryCancel
    createdAt: Time!
    functionVersion: Int!
    groupID: UUID
    id: ULID!
    result: RunHistoryResult
    sleep: RunHistorySleep
    stepName: String
    stepType: HistoryStepType
    type: HistoryType!
    url: String
    waitForEvent: RunHistoryWaitForEvent
    waitResult: RunHistoryWaitResult
    invokeFunction: RunHistoryInvokeFunction
    invokeFunctionResult: RunHistoryInvokeFunctionResult
  }
  type RunHistoryCancel {
    eventID: ULID
    expression: String
    userID: UUID
  }
  type RunHistoryResult {
    durationMS: Int!
    errorCode: String
    framework: String
    platform: String
    sdkLanguage: String!
    sdkVersion: String!
    sizeBytes: Int!
  }
  type RunHistorySleep {
    until: Time!
  }
  type RunHistoryWaitForEvent {
    eventName: String!
    expression: String
    timeout: Time!
  }
  type RunHistoryWaitResult {
    eventID: ULID
    timeout: Boolean!
  }
  type RunHistoryInvokeFunction {
    eventID: ULID!
    functionID: String!
    correlationID: String!
    timeout: Time!
  }
  type RunHistoryInvokeFunctionResult {
    eventID: ULID
    timeout: Boolean!
    runID: ULID
  }

  type FunctionRunV2 {
    id: ULID!
    appID: UUID!
    app: App!
    functionID: UUID!
    function: Function!
    traceID: String!
    queuedAt: Time!
    startedAt: Time
    endedAt: Time
    status: FunctionRunStatus!
    sourceID: String
    triggerIDs: [ULID!]!
    eventName: String
    isBatch: Boolean!
    batchCreatedAt: Time
    cronSchedule: String
    output: Bytes
    trace(preview: Boolean): RunTraceSpan
    hasAI: Boolean!
    defers: [RunDefer!]!
    siblingDefers: [RunDefer!]!
    deferredFrom: [RunDeferredFrom!]!
    isDeferred: Boolean!
  }
  type RunDefer {
    hashedDeferID: String!
    userlandDeferID: String!
    fnSlug: String!
    status: RunDeferStatus!
    function: Function
    runID: ULID
    run: FunctionRunV2
  }
  enum RunDeferStatus {
    SCHEDULED
    ABORTED
    REJECTED
  }
  type RunDeferredFrom {
    runID: ULID!
    function: Function
    run: FunctionRunV2
  }
  type RunsV2Connection {
    edges: [FunctionRunV2Edge!]!
    pageInfo: PageInfo!
    totalCount(preview: Boolean): Int!
  }
  type FunctionRunV2Edge {
    node: FunctionRunV2!
    cursor: String!
  }

  union StepInfo = InvokeStepInfo | SleepStepInfo | WaitForEventStepInfo | RunStepInfo | WaitForSignalStepInfo
  type InvokeStepInfo {
    triggeringEventID: ULID!
    functionID: String!
    timeout: Time!
    returnEventID: ULID
    runID: ULID
    timedOut: Boolean
  }
  type SleepStepInfo {
    sleepUntil: Time!
  }
  type WaitForEventStepInfo {
    eventName: String!
    expression: String
    timeout: Time!
    foundEventID: ULID
    timedOut: Boolean
  }
  type RunStepInfo {
    type: String
  }
  type WaitForSignalStepInfo {
    signal: String!
    timeout: Time!
    timedOut: Boolean
  }

  type RunTraceSpan {
    appID: UUID!
    functionID: UUID!
    runID: ULID!
    run: FunctionRun!
    spanID: String!
    traceID: String!
    name: String!
    status: RunTraceSpanStatus!
    attempts: Int
    duration: Int
    outputID: String
    queuedAt: Time!
    scheduledAt: Time
    startedAt: Time
    endedAt: Time
    childrenSpans: [RunTraceSpan!]!
    stepOp: StepOp
    stepID: String
    stepInfo: StepInfo
    stepType: String!
    isRoot: Boolean!
    parentSpanID: String
    parentSpan: RunTraceSpan
    isUserland: Boolean!
    userlandSpan: UserlandSpan
    groupID: String
    debugRunID: ULID
    debugSessionID: ULID
    debugPaused: Boolean!
    skipReason: String
    skipExistingRunID: String
    metadata: [SpanMetadata!]!
    response: RunTraceSpanResponseInfo
  }
  type RunTraceSpanResponseInfo {
    statusCode: Int!
    headers: HTTPHeaders!
  }
  type UserlandSpan {
    spanName: String
    spanKind: String
    serviceName: String
    resourceAttrs: Bytes
    scopeName: String
    scopeVersion: String
    spanAttrs: Bytes
  }
  type SpanMetadata {
    scope: SpanMetadataScope!
    kind: SpanMetadataKind!
    values: SpanMetadataValues!
    updatedAt: Time!
  }
  type RunTraceSpanOutput {
    input: Bytes
    data: Bytes
    error: StepError
  }
  type StepError {
    message: String!
    name: String
    stack: String
    cause: Unknown
  }
  type RunTraceTrigger {
    eventName: String
    IDs: [ULID!]!
    payloads: [Bytes!]!
    timestamp: Time!
    isBatch: Boolean!
    batchID: ULID
    cron: String
  }

  type Event {
    id: ULID!
    externalID: String
    workspace: Workspace
    name: String
    createdAt: Time
    payload: String
    schema: String
    status: EventStatus
    pendingRuns: Int
    totalRuns: Int
    raw: String
    functionRuns: [FunctionRun!]
  }
  type EventV2 {
    id: ULID!
    externalID: String
    idempotencyKey: String
    name: String!
    occurredAt: Time!
    receivedAt: Time!
    raw: String!
    envID: UUID!
    source: EventSource
    runs: [FunctionRunV2!]!
    version: String
  }
  type EventSource {
    id: ID!
    name: String
    sourceKind: String!
  }
  type EventsConnection {
    edges: [EventsEdge!]!
    pageInfo: PageInfo!
    totalCount: Int!
  }
  type EventsEdge {
    node: EventV2!
    cursor: String!
  }
  type StreamItem {
    id: ID!
    trigger: String!
    type: StreamType!
    createdAt: Time!
    runs: [FunctionRun]
    inBatch: Boolean!
  }
`;
