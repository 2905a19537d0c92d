"""The same answer in HL7 FHIR R4: the resources of a bundle, and a refusal as an OperationOutcome."""
