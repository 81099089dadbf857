"""The archive's two languages: DICOM's own network protocol (PS3.7, PS3.8) and DICOMweb (PS3.18).

Needs the packages of the extra `pacs`: pynetdicom and dicomweb-client.
"""
