// CXML
