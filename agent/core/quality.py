"""Quality and OPC UA status codes: one language for "how good is this value" (OPC 10000-4, 7.39; 10000-6, A.2).

A status code is 32 bits. The two highest are the severity (good, uncertain, bad), the high half names the condition;
the low half carries flags (overflow, limits) that do not change its name. Modbus failures are mapped to the same codes
(docs/messages.md).
"""

from __future__ import annotations

from agent.core.flow import Quality

# Names and the high half of their numbers, as the standard's table has them.
_TABLE = """
GoodSubscriptionTransferred 002D; GoodCompletesAsynchronously 002E; GoodOverload 002F; GoodClamped 0030;
GoodLocalOverride 0096; GoodEntryInserted 00A2; GoodEntryReplaced 00A3; GoodNoData 00A5; GoodMoreData 00A6;
GoodCommunicationEvent 00A7; GoodShutdownEvent 00A8; GoodCallAgain 00A9; GoodNonCriticalTimeout 00AA;
GoodResultsMayBeIncomplete 00BA; GoodDataIgnored 00D9; GoodEdited 00DC; GoodPostActionFailed 00DD;
GoodRetransmissionQueueNotSupported 00DF; GoodDependentValueChanged 00E0; GoodSubNormal 00EB;
GoodPasswordChangeRequired 00EF; GoodEdited_DependentValueChanged 0116; GoodEdited_DominantValueChanged 0117;
GoodEdited_DominantValueChanged_DependentValueChanged 0118; GoodCascadeInitializationAcknowledged 0401;
GoodCascadeInitializationRequest 0402; GoodCascadeNotInvited 0403; GoodCascadeNotSelected 0404; GoodFaultStateActive
0407; GoodInitiateFaultState 0408; GoodCascade 0409; Uncertain 4000; UncertainReferenceOutOfServer 406C;
UncertainNoCommunicationLastUsableValue 408F; UncertainLastUsableValue 4090; UncertainSubstituteValue 4091;
UncertainInitialValue 4092; UncertainSensorNotAccurate 4093; UncertainEngineeringUnitsExceeded 4094;
UncertainSubNormal 4095; UncertainDataSubNormal 40A4; UncertainReferenceNotDeleted 40BC; UncertainNotAllNodesAvailable
40C0; UncertainDominantValueChanged 40DE; UncertainDependentValueChanged 40E2; UncertainOverRange 40F2;
UncertainUnderRange 40F3; UncertainTransducerInManual 4208; UncertainSimulatedValue 4209; UncertainSensorCalibration
420A; UncertainConfigurationError 420F; Bad 8000; BadUnexpectedError 8001; BadInternalError 8002; BadOutOfMemory 8003;
BadResourceUnavailable 8004; BadCommunicationError 8005; BadEncodingError 8006; BadDecodingError 8007;
BadEncodingLimitsExceeded 8008; BadUnknownResponse 8009; BadTimeout 800A; BadServiceUnsupported 800B; BadShutdown
800C; BadServerNotConnected 800D; BadServerHalted 800E; BadNothingToDo 800F; BadTooManyOperations 8010;
BadDataTypeIdUnknown 8011; BadCertificateInvalid 8012; BadSecurityChecksFailed 8013; BadCertificateTimeInvalid 8014;
BadCertificateIssuerTimeInvalid 8015; BadCertificateHostNameInvalid 8016; BadCertificateUriInvalid 8017;
BadCertificateUseNotAllowed 8018; BadCertificateIssuerUseNotAllowed 8019; BadCertificateUntrusted 801A;
BadCertificateRevocationUnknown 801B; BadCertificateIssuerRevocationUnknown 801C; BadCertificateRevoked 801D;
BadCertificateIssuerRevoked 801E; BadUserAccessDenied 801F; BadIdentityTokenInvalid 8020; BadIdentityTokenRejected
8021; BadSecureChannelIdInvalid 8022; BadInvalidTimestamp 8023; BadNonceInvalid 8024; BadSessionIdInvalid 8025;
BadSessionClosed 8026; BadSessionNotActivated 8027; BadSubscriptionIdInvalid 8028; BadRequestHeaderInvalid 802A;
BadTimestampsToReturnInvalid 802B; BadRequestCancelledByClient 802C; BadNoCommunication 8031; BadWaitingForInitialData
8032; BadNodeIdInvalid 8033; BadNodeIdUnknown 8034; BadAttributeIdInvalid 8035; BadIndexRangeInvalid 8036;
BadIndexRangeNoData 8037; BadDataEncodingInvalid 8038; BadDataEncodingUnsupported 8039; BadNotReadable 803A;
BadNotWritable 803B; BadOutOfRange 803C; BadNotSupported 803D; BadNotFound 803E; BadObjectDeleted 803F;
BadNotImplemented 8040; BadMonitoringModeInvalid 8041; BadMonitoredItemIdInvalid 8042; BadMonitoredItemFilterInvalid
8043; BadMonitoredItemFilterUnsupported 8044; BadFilterNotAllowed 8045; BadStructureMissing 8046;
BadEventFilterInvalid 8047; BadContentFilterInvalid 8048; BadFilterOperandInvalid 8049; BadContinuationPointInvalid
804A; BadNoContinuationPoints 804B; BadReferenceTypeIdInvalid 804C; BadBrowseDirectionInvalid 804D; BadNodeNotInView
804E; BadServerUriInvalid 804F; BadServerNameMissing 8050; BadDiscoveryUrlMissing 8051; BadSemaphoreFileMissing 8052;
BadRequestTypeInvalid 8053; BadSecurityModeRejected 8054; BadSecurityPolicyRejected 8055; BadTooManySessions 8056;
BadUserSignatureInvalid 8057; BadApplicationSignatureInvalid 8058; BadNoValidCertificates 8059;
BadRequestCancelledByRequest 805A; BadParentNodeIdInvalid 805B; BadReferenceNotAllowed 805C; BadNodeIdRejected 805D;
BadNodeIdExists 805E; BadNodeClassInvalid 805F; BadBrowseNameInvalid 8060; BadBrowseNameDuplicated 8061;
BadNodeAttributesInvalid 8062; BadTypeDefinitionInvalid 8063; BadSourceNodeIdInvalid 8064; BadTargetNodeIdInvalid
8065; BadDuplicateReferenceNotAllowed 8066; BadInvalidSelfReference 8067; BadReferenceLocalOnly 8068;
BadNoDeleteRights 8069; BadServerIndexInvalid 806A; BadViewIdUnknown 806B; BadTooManyMatches 806D; BadQueryTooComplex
806E; BadNoMatch 806F; BadMaxAgeInvalid 8070; BadHistoryOperationInvalid 8071; BadHistoryOperationUnsupported 8072;
BadWriteNotSupported 8073; BadTypeMismatch 8074; BadMethodInvalid 8075; BadArgumentsMissing 8076;
BadTooManySubscriptions 8077; BadTooManyPublishRequests 8078; BadNoSubscription 8079; BadSequenceNumberUnknown 807A;
BadMessageNotAvailable 807B; BadInsufficientClientProfile 807C; BadTcpServerTooBusy 807D; BadTcpMessageTypeInvalid
807E; BadTcpSecureChannelUnknown 807F; BadTcpMessageTooLarge 8080; BadTcpNotEnoughResources 8081; BadTcpInternalError
8082; BadTcpEndpointUrlInvalid 8083; BadRequestInterrupted 8084; BadRequestTimeout 8085; BadSecureChannelClosed 8086;
BadSecureChannelTokenUnknown 8087; BadSequenceNumberInvalid 8088; BadConfigurationError 8089; BadNotConnected 808A;
BadDeviceFailure 808B; BadSensorFailure 808C; BadOutOfService 808D; BadDeadbandFilterInvalid 808E;
BadRefreshInProgress 8097; BadConditionAlreadyDisabled 8098; BadConditionDisabled 8099; BadEventIdUnknown 809A;
BadNoData 809B; BadDataLost 809D; BadDataUnavailable 809E; BadEntryExists 809F; BadNoEntryExists 80A0;
BadTimestampNotSupported 80A1; BadInvalidArgument 80AB; BadConnectionRejected 80AC; BadDisconnect 80AD;
BadConnectionClosed 80AE; BadInvalidState 80AF; BadEndOfStream 80B0; BadNoDataAvailable 80B1; BadWaitingForResponse
80B2; BadOperationAbandoned 80B3; BadExpectedStreamToBlock 80B4; BadWouldBlock 80B5; BadSyntaxError 80B6;
BadMaxConnectionsReached 80B7; BadRequestTooLarge 80B8; BadResponseTooLarge 80B9; BadEventNotAcknowledgeable 80BB;
BadInvalidTimestampArgument 80BD; BadProtocolVersionUnsupported 80BE; BadStateNotActive 80BF; BadFilterOperatorInvalid
80C1; BadFilterOperatorUnsupported 80C2; BadFilterOperandCountMismatch 80C3; BadFilterElementInvalid 80C4;
BadFilterLiteralInvalid 80C5; BadIdentityChangeNotSupported 80C6; BadNotTypeDefinition 80C8; BadViewTimestampInvalid
80C9; BadViewParameterMismatch 80CA; BadViewVersionInvalid 80CB; BadConditionAlreadyEnabled 80CC; BadDialogNotActive
80CD; BadDialogResponseInvalid 80CE; BadConditionBranchAlreadyAcked 80CF; BadConditionBranchAlreadyConfirmed 80D0;
BadConditionAlreadyShelved 80D1; BadConditionNotShelved 80D2; BadShelvingTimeOutOfRange 80D3; BadAggregateListMismatch
80D4; BadAggregateNotSupported 80D5; BadAggregateInvalidInputs 80D6; BadBoundNotFound 80D7; BadBoundNotSupported 80D8;
BadAggregateConfigurationRejected 80DA; BadTooManyMonitoredItems 80DB; BadDominantValueChanged 80E1;
BadDependentValueChanged 80E3; BadRequestNotAllowed 80E4; BadTooManyArguments 80E5; BadSecurityModeInsufficient 80E6;
BadDataSetIdInvalid 80E7; BadTransactionPending 80E8; BadLocked 80E9; BadIndexRangeDataMismatch 80EA; BadRequiresLock
80EC; BadLocaleNotSupported 80ED; BadServerTooBusy 80EE; BadNoValue 80F0; BadTransactionFailed 80F1;
BadCertificateChainIncomplete 810D; BadLicenseExpired 810E; BadLicenseLimitsExceeded 810F; BadLicenseNotAvailable
8110; BadNotExecutable 8111; BadNumericOverflow 8112; BadRequestNotComplete 8113; BadCertificatePolicyCheckFailed
8114; BadAlreadyExists 8115; BadEdited_OutOfRange 8119; BadInitialValue_OutOfRange 811A;
BadOutOfRange_DominantValueChanged 811B; BadEdited_OutOfRange_DominantValueChanged 811C;
BadOutOfRange_DominantValueChanged_DependentValueChanged 811D;
BadEdited_OutOfRange_DominantValueChanged_DependentValueChanged 811E; BadTicketRequired 811F; BadTicketInvalid 8120
"""

_NUMBERS: dict[str, int] = {}
for _row in _TABLE.replace("\n", " ").split(";"):
    _name, _high = _row.split()
    _NUMBERS[_name] = int(_high, 16) << 16
_NUMBERS["Good"] = 0
_NAMES = {number: name for name, number in _NUMBERS.items()}

_SEVERITY: tuple[Quality, Quality, Quality, Quality] = ("good", "uncertain", "bad", "bad")


def quality_of(status: int) -> Quality:
    """Severity of a status code. The reserved severity 3 counts as bad."""
    return _SEVERITY[(status >> 30) & 3]


def name_of(status: int) -> str:
    """The code's name, flags ignored (`Good`, `BadNoCommunication`, ...); an unknown one is `Bad0x80FF0000`-like."""
    high = status & 0xFFFF0000
    known = _NAMES.get(high)
    return known if known is not None else f"{quality_of(status).capitalize()}0x{high:08X}"


def number_of(name: str) -> int:
    """The number of a status code name; KeyError for a name the standard does not have."""
    return _NUMBERS[name]


def is_status_name(name: str) -> bool:
    """Whether the standard has a status code of this name."""
    return name in _NUMBERS


GOOD = 0
BAD_COMMUNICATION_ERROR = number_of("BadCommunicationError")
BAD_CONFIGURATION_ERROR = number_of("BadConfigurationError")
BAD_DATA_ENCODING_UNSUPPORTED = number_of("BadDataEncodingUnsupported")
BAD_DECODING_ERROR = number_of("BadDecodingError")
BAD_DEVICE_FAILURE = number_of("BadDeviceFailure")
BAD_NO_COMMUNICATION = number_of("BadNoCommunication")
BAD_NO_DATA = number_of("BadNoData")
BAD_NODE_ID_UNKNOWN = number_of("BadNodeIdUnknown")
BAD_NOT_SUPPORTED = number_of("BadNotSupported")
BAD_OUT_OF_RANGE = number_of("BadOutOfRange")
BAD_OUT_OF_SERVICE = number_of("BadOutOfService")
BAD_TIMEOUT = number_of("BadTimeout")
BAD_WAITING_FOR_INITIAL_DATA = number_of("BadWaitingForInitialData")
UNCERTAIN_ENGINEERING_UNITS_EXCEEDED = number_of("UncertainEngineeringUnitsExceeded")
